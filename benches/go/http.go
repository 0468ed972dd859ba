package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
)

// What tilotech/go-plugin does: the host chooses the path of a Unix socket, the plugin says that it is ready on its
// standard output, and every method is a path to which JSON is posted.

const (
	socketVariable = "PLUGIN_SOCKET"
	readyLine      = "plugin is ready"
)

func startHTTP() (Echo, func(), error) {
	directory, err := os.MkdirTemp("", "benches")
	if err != nil {
		return nil, nil, err
	}
	socket := filepath.Join(directory, "socket")
	command := exec.Command(os.Args[0], "child", "http")
	command.Env = append(os.Environ(), socketVariable+"="+socket)
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	// It ends with the host: a plugin reads it to its end.
	lifeline, err := command.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := command.Start(); err != nil {
		return nil, nil, err
	}
	transport := &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) },
		// Otherwise it dials anew for most calls where there are many callers.
		MaxIdleConnsPerHost: 1024,
	}
	end := func() {
		transport.CloseIdleConnections()
		lifeline.Close()
		command.Process.Kill()
		command.Wait()
		os.RemoveAll(directory)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); line != readyLine+"\n" {
		end()
		return nil, nil, fmt.Errorf("the plugin failed to start: %q, %v", line, err)
	}
	return httpClient{&http.Client{Transport: transport}}, end, nil
}

type httpMessage struct {
	Payload []byte `json:"payload"`
	Millis  uint64 `json:"millis"`
}

type httpClient struct{ client *http.Client }

func (c httpClient) post(method string, request httpMessage) (answer httpMessage, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return
	}
	response, err := c.client.Post("http://plugin/"+method, "application/json", bytes.NewReader(body))
	if err != nil {
		return
	}
	defer response.Body.Close()
	// To the end, or the connection could not be used again.
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return
	}
	if response.StatusCode != http.StatusOK {
		return answer, errors.New(string(text))
	}
	return answer, json.Unmarshal(text, &answer)
}

func (c httpClient) Echo(payload []byte) ([]byte, error) {
	answer, err := c.post("echo", httpMessage{Payload: payload})
	return answer.Payload, err
}

func (c httpClient) Sleep(millis uint64) error {
	_, err := c.post("sleep", httpMessage{Millis: millis})
	return err
}

func serveHTTP() error {
	listener, err := net.Listen("unix", os.Getenv(socketVariable))
	if err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Println(readyLine)
	return http.Serve(listener, http.HandlerFunc(handleHTTP))
}

func handleHTTP(response http.ResponseWriter, request *http.Request) {
	var argument, result httpMessage
	err := json.NewDecoder(request.Body).Decode(&argument)
	if err != nil {
		http.Error(response, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	switch request.URL.Path {
	case "/echo":
		result.Payload, err = Server{}.Echo(argument.Payload)
	case "/sleep":
		err = Server{}.Sleep(argument.Millis)
	default:
		http.NotFound(response, request)
		return
	}
	if err != nil {
		http.Error(response, err.Error(), http.StatusInternalServerError)
		return
	}
	response.Header().Set("Content-Type", "application/json")
	json.NewEncoder(response).Encode(result)
}
