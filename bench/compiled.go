package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
)

// compiled compares programs of compiled languages: Rust with plain fasthttp, a net/http handler in Go with itself as a native
// server, and a command in C, which has only its own CPU time to answer for.
func (l *lab) compiled(ctx context.Context) error {
	built := filepath.Dir(l.self) // where bench/run puts what it builds
	rust := program{name: "rust-hello", path: filepath.Join(l.dir, "../sdk-guests/rust/examples/hello.wasm"), memory: 128, timeout: 10}
	golang := program{name: "go-hello", path: filepath.Join(built, "go-hello.wasm"), memory: 128, timeout: 10}
	command := program{name: "c-command", path: filepath.Join(l.dir, "../runtime/wasi/testdata/guests/hello.wasm"), memory: 128, timeout: 10}
	const text = "Hello, World!\n"
	for _, pin := range l.pinnings() {
		n, paths, err := l.serve(ctx, pin, rust, golang, command)
		if err != nil {
			return err
		}
		defer n.stop()
		sample, err := n.expect(paths[0], text)
		if err != nil {
			return err
		}
		p, err := l.startPlain(ctx, pin, sample)
		if err != nil {
			return err
		}
		defer p.stop()
		native, err := l.startGo(ctx, pin, filepath.Join(built, "go-hello"))
		if err != nil {
			return err
		}
		defer native.stop()
		output, err := get(n.addr, paths[2])
		if err != nil {
			return err
		}
		s, err := l.alternate(ctx, pin, target{n.process, paths[0], text}, target{p, "/", text}, target{n.process, paths[1], text}, target{native, "/", text},
			target{n.process, paths[2], string(output.body)})
		if err != nil {
			return err
		}
		n.stop()
		p.stop()
		native.stop()
		l.report.compareSeries("Rust hello", pin, s[0], "fasthttp", s[1], bound{"≥", 0.80}, none)
		l.report.compareSeries("Go hello, net/http", pin, s[2], "native net/http", s[3], bound{"≥", 0.5}, none)
		if pin {
			l.report.value("WASI command in C, server CPU, pinned", "µs/request", median(s[4].cpu), bound{"<", 150}, fmt.Sprintf("%.0f requests/s", median(s[4].rps)))
		}
	}
	return nil
}

// startGo starts the Go example as a native server.
func (l *lab) startGo(ctx context.Context, pin bool, binary string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	p, err := l.start("go-hello", addr, pin, []string{"PORT=" + port}, binary)
	if err != nil {
		return nil, err
	}
	return p, p.readyOrStop(ctx)
}
