// Command benches-go is the contenders in Go: hashicorp/go-plugin in both modes, and HTTP with JSON over a Unix socket in
// the manner of tilotech/go-plugin. A host does what its standard input says, as src/order.rs describes.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// Echo is what plugins do.
type Echo interface {
	Echo(payload []byte) ([]byte, error)
	Sleep(millis uint64) error
}

// Server is the plugin's side of Echo.
type Server struct{}

func (Server) Echo(payload []byte) ([]byte, error) { return payload, nil }

func (Server) Sleep(millis uint64) error {
	time.Sleep(time.Duration(millis) * time.Millisecond)
	return nil
}

// contender starts plugins, each with a function that ends it, and is one.
type contender struct {
	start func() (Echo, func(), error)
	serve func() error
}

var contenders = map[string]contender{
	"netrpc": {func() (Echo, func(), error) { return startHashicorp("netrpc") }, serveHashicorp},
	"grpc":   {func() (Echo, func(), error) { return startHashicorp("grpc") }, serveHashicorp},
	"http":   {startHTTP, serveHTTP},
}

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: %s host|child netrpc|grpc|http", os.Args[0]))
	}
	contender, known := contenders[os.Args[2]]
	if !known {
		fail(fmt.Errorf("there is no contender %q", os.Args[2]))
	}
	if os.Args[1] == "child" {
		fail(contender.serve())
	}
	obey(contender)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

type order struct {
	Do              string
	Callers         int
	Payload         int
	Millis          uint64
	Rate            uint64
	NeighbourMillis uint64 `json:"neighbour_millis"`
	Count           int
}

type sample struct {
	Calls uint64  `json:"calls"`
	Nanos int64   `json:"nanos"`
	P50   int64   `json:"p50"`
	P99   int64   `json:"p99"`
	Error *string `json:"error"`
}

type host struct {
	contender contender
	plugin    Echo
	end       func()
	kept      []func()
}

func obey(contender contender) {
	// go-plugin's multiplexer logs there that plugins have ended, which is no news. Panics are still seen.
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stderr = null
	}
	host := &host{contender: contender, end: func() {}}
	input, output := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for input.Scan() {
		var order order
		var answer sample
		err := json.Unmarshal(input.Bytes(), &order)
		if err == nil {
			answer, err = host.obey(order)
		}
		if err != nil {
			text := err.Error()
			answer.Error = &text
		}
		if output.Encode(answer) != nil {
			break
		}
	}
	host.end()
	endAll(host.kept)
}

// endAll ends plugins side by side: it takes each a while.
func endAll(plugins []func()) {
	var all sync.WaitGroup
	for _, end := range plugins {
		all.Add(1)
		go func(end func()) {
			defer all.Done()
			end()
		}(end)
	}
	all.Wait()
}

func (h *host) obey(order order) (sample, error) {
	switch order.Do {
	case "start":
		h.end()
		h.end = func() {}
		start := time.Now()
		plugin, end, err := h.start()
		if err != nil {
			return sample{}, err
		}
		h.plugin, h.end = plugin, end
		return sample{Nanos: int64(time.Since(start))}, nil
	case "load":
		if h.plugin == nil {
			return sample{}, fmt.Errorf("no plugin was started")
		}
		return load(h.plugin, order)
	case "keep":
		for i := 0; i < order.Count; i++ {
			_, end, err := h.start()
			if err != nil {
				return sample{}, err
			}
			h.kept = append(h.kept, end)
		}
		return sample{}, nil
	}
	return sample{}, fmt.Errorf("there is no order %q", order.Do)
}

func (h *host) start() (Echo, func(), error) {
	plugin, end, err := h.contender.start()
	if err != nil {
		return nil, nil, err
	}
	if _, err := plugin.Echo(nil); err != nil {
		end()
		return nil, nil, err
	}
	return plugin, end, nil
}

func load(plugin Echo, order order) (sample, error) {
	payload := make([]byte, order.Payload)
	for i := range payload {
		payload[i] = 0x5a
	}
	var done int32
	var neighbour sync.WaitGroup
	neighbour.Add(1)
	go func() {
		defer neighbour.Done()
		for order.NeighbourMillis > 0 && atomic.LoadInt32(&done) == 0 {
			if plugin.Sleep(order.NeighbourMillis) != nil {
				return
			}
		}
	}()
	times, errors := make([][]int64, order.Callers), make([]error, order.Callers)
	var callers sync.WaitGroup
	start := time.Now()
	for i := range times {
		callers.Add(1)
		go func(i int) {
			defer callers.Done()
			times[i], errors[i] = call(plugin, order, payload)
		}(i)
	}
	callers.Wait()
	elapsed := time.Since(start)
	atomic.StoreInt32(&done, 1)
	neighbour.Wait()
	for _, err := range errors {
		if err != nil {
			return sample{}, err
		}
	}
	return summary(times, elapsed), nil
}

func call(plugin Echo, order order, payload []byte) ([]int64, error) {
	var times []int64
	began := time.Now()
	end := began.Add(time.Duration(order.Millis) * time.Millisecond)
	for {
		answer, err := plugin.Echo(payload)
		if err != nil {
			return nil, err
		}
		if len(answer) != len(payload) {
			return nil, fmt.Errorf("%d bytes came back, %d were sent", len(answer), len(payload))
		}
		now := time.Now()
		times = append(times, int64(now.Sub(began)))
		if !now.Before(end) {
			return times, nil
		}
		if order.Rate > 0 {
			time.Sleep(began.Add(time.Second / time.Duration(order.Rate)).Sub(now))
			now = time.Now()
		}
		began = now
	}
}

func summary(times [][]int64, elapsed time.Duration) sample {
	var all []int64
	for _, some := range times {
		all = append(all, some...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	at := func(part int) int64 { return all[len(all)*part/100] }
	return sample{Calls: uint64(len(all)), Nanos: int64(elapsed), P50: at(50), P99: at(99)}
}
