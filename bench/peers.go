package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// startPlain starts a fasthttp server without WebAssembly that answers what like is: the same body under the same headers.
func (l *lab) startPlain(ctx context.Context, pin bool, like answer) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	argv := []string{l.self, "plain", "-listen", addr, "-body", string(like.body)}
	for _, name := range slices.Sorted(maps.Keys(like.header)) {
		if name == "Date" || name == "Content-Length" {
			continue
		}
		for _, value := range like.header[name] {
			argv = append(argv, "-header", name+": "+value)
		}
	}
	if like.header.Get("Date") == "" {
		argv = append(argv, "-no-date")
	}
	p, err := l.start("fasthttp", addr, pin, nil, argv...)
	if err != nil {
		return nil, err
	}
	if err := p.sameAnswer(ctx, like); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// sameAnswer is an error unless the server's answer is as like is, but for the values of headers.
func (p *process) sameAnswer(ctx context.Context, like answer) error {
	if err := p.ready(ctx, "/"); err != nil {
		return err
	}
	a, err := p.expect("/", string(like.body))
	if err != nil {
		return err
	}
	size := func(h http.Header) (n int) {
		for name, values := range h {
			for _, v := range values {
				n += len(name) + len(v)
			}
		}
		return n
	}
	if size(a.header) != size(like.header) {
		return p.fault(fmt.Errorf("headers %v are not as long as %v", a.header, like.header))
	}
	return nil
}

// servePlain is the role "plain": the server that startPlain starts.
func servePlain(args []string) error {
	f := flag.NewFlagSet("plain", flag.ContinueOnError)
	listen := f.String("listen", "", "address")
	body := f.String("body", "", "body of every answer")
	noDate := f.Bool("no-date", false, "leave out Date")
	type header struct{ name, value string }
	var headers []header
	f.Func("header", "`name: value` of every answer", func(v string) error {
		name, value, _ := strings.Cut(v, ": ")
		headers = append(headers, header{name, value})
		return nil
	})
	if err := f.Parse(args); err != nil {
		return err
	}
	ln, err := net.Listen("tcp4", *listen)
	if err != nil {
		return err
	}
	content := []byte(*body)
	server := &fasthttp.Server{
		NoDefaultServerHeader: true,
		NoDefaultDate:         *noDate,
		NoDefaultContentType:  true,
		Handler: func(c *fasthttp.RequestCtx) {
			for _, h := range headers {
				c.Response.Header.Set(h.name, h.value)
			}
			c.Response.SetBodyRaw(content)
		},
	}
	return server.Serve(ln)
}

// workerd is the path of the workerd binary that package.json pins.
func (l *lab) workerd() string {
	arch := map[string]string{"amd64": "64", "arm64": "arm64"}[runtime.GOARCH]
	return filepath.Join(l.dir, "node_modules/@cloudflare/workerd-linux-"+arch+"/bin/workerd")
}

// startWorkerd starts workerd serving the guide's function.
func (l *lab) startWorkerd(ctx context.Context, pin bool) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := l.start("workerd", addr, pin, nil, l.workerd(), "serve", filepath.Join(l.dir, "workerd/hello.capnp"), "--socket-addr=http="+addr)
	if err != nil {
		return nil, err
	}
	return p, p.readyOrStop(ctx)
}

// startNodejs starts Node.js's http server serving the guide's function.
func (l *lab) startNodejs(ctx context.Context, pin bool) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	p, err := l.start("nodejs", addr, pin, nil, "node", filepath.Join(l.dir, "nodejs/hello.mjs"), port)
	if err != nil {
		return nil, err
	}
	return p, p.readyOrStop(ctx)
}

func (p *process) readyOrStop(ctx context.Context) error {
	err := p.ready(ctx, "/")
	if err != nil {
		p.stop()
	}
	return err
}
