package main

import (
	"context"
	"math"
	"net/rpc"
	"os"
	"os/exec"

	"github.com/golang/protobuf/proto"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

var handshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "BENCHES", MagicCookieValue: "echo"}

// pluginOf is the set of the one plugin of a mode: of a set with both, go-plugin would choose the mode at random.
func pluginOf(mode string) plugin.PluginSet {
	if mode == "grpc" {
		return plugin.PluginSet{mode: grpcPlugin{}}
	}
	return plugin.PluginSet{mode: netRPCPlugin{}}
}

func startHashicorp(mode string) (Echo, func(), error) {
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  handshake,
		Plugins:          pluginOf(mode),
		Cmd:              exec.Command(os.Args[0], "child", mode),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolNetRPC, plugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
	})
	protocol, err := client.Client()
	if err != nil {
		client.Kill()
		return nil, nil, err
	}
	raw, err := protocol.Dispense(mode)
	if err != nil {
		client.Kill()
		return nil, nil, err
	}
	return raw.(Echo), client.Kill, nil
}

func serveHashicorp() error {
	config := &plugin.ServeConfig{HandshakeConfig: handshake, Plugins: pluginOf(os.Args[2]), Logger: hclog.NewNullLogger()}
	if os.Args[2] == "grpc" {
		config.GRPCServer = func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, grpc.MaxRecvMsgSize(math.MaxInt32))...)
		}
	}
	plugin.Serve(config)
	return nil
}

// net/rpc: what a user of go-plugin writes by hand.

type netRPCPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (netRPCPlugin) Server(*plugin.MuxBroker) (interface{}, error) { return netRPCServer{}, nil }

func (netRPCPlugin) Client(_ *plugin.MuxBroker, client *rpc.Client) (interface{}, error) {
	return netRPCClient{client}, nil
}

type netRPCServer struct{ Server }

func (s netRPCServer) Echo(payload []byte, answer *[]byte) (err error) {
	*answer, err = s.Server.Echo(payload)
	return
}

func (s netRPCServer) Sleep(millis uint64, _ *bool) error { return s.Server.Sleep(millis) }

type netRPCClient struct{ client *rpc.Client }

func (c netRPCClient) Echo(payload []byte) (answer []byte, err error) {
	err = c.client.Call("Plugin.Echo", payload, &answer)
	return
}

func (c netRPCClient) Sleep(millis uint64) error {
	var nothing bool
	return c.client.Call("Plugin.Sleep", millis, &nothing)
}

// gRPC: what protoc would generate, and what a user of go-plugin writes by hand.

type message struct {
	Payload []byte `protobuf:"bytes,1,opt,name=payload,proto3"`
	Millis  uint64 `protobuf:"varint,2,opt,name=millis,proto3"`
}

func (m *message) Reset()         { *m = message{} }
func (m *message) String() string { return proto.CompactTextString(m) }
func (*message) ProtoMessage()    {}

var service = grpc.ServiceDesc{
	ServiceName: "benches.Echo",
	HandlerType: (*Echo)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: handleEcho}, {MethodName: "Sleep", Handler: handleSleep}},
}

func handleEcho(server interface{}, _ context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
	var request message
	if err := decode(&request); err != nil {
		return nil, err
	}
	payload, err := server.(Echo).Echo(request.Payload)
	return &message{Payload: payload}, err
}

func handleSleep(server interface{}, _ context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
	var request message
	if err := decode(&request); err != nil {
		return nil, err
	}
	return &message{}, server.(Echo).Sleep(request.Millis)
}

type grpcPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (grpcPlugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	server.RegisterService(&service, Server{})
	return nil
}

func (grpcPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, connection *grpc.ClientConn) (interface{}, error) {
	return grpcClient{connection}, nil
}

type grpcClient struct{ connection *grpc.ClientConn }

func (c grpcClient) Echo(payload []byte) ([]byte, error) {
	var answer message
	err := c.connection.Invoke(context.Background(), "/benches.Echo/Echo", &message{Payload: payload}, &answer)
	return answer.Payload, err
}

func (c grpcClient) Sleep(millis uint64) error {
	return c.connection.Invoke(context.Background(), "/benches.Echo/Sleep", &message{Millis: millis}, &message{})
}
