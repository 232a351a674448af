// A Kafka broker in memory, for one test: `kafka_broker PORT ADVERTISED_PORT`.
//
// It listens on PORT of 127.0.0.1, and tells clients to connect to ADVERTISED_PORT, as a broker behind a proxy must.
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/twmb/franz-go/pkg/kfake"
)

type advertising struct {
	net.Listener
	advertised net.Addr
}

func (l advertising) Addr() net.Addr { return l.advertised }

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func serve(ports []string) error {
	if len(ports) != 2 {
		return fmt.Errorf("give it PORT and ADVERTISED_PORT")
	}
	advertised, err := strconv.Atoi(ports[1])
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+ports[0])
	if err != nil {
		return err
	}
	told := advertising{listener, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: advertised}}
	_, err = kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.SeedTopics(1, "quotes"),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return told, nil }),
	)
	if err != nil {
		return err
	}
	select {}
}
