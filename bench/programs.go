package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// programs deploys many JavaScript programs, each with code of its own, and calls all of them in turn.
func (l *lab) programs(ctx context.Context) error {
	n, err := l.startNode(ctx, false)
	if err != nil {
		return err
	}
	defer n.stop()
	n.settle(ctx)
	idle, err := n.usage()
	if err != nil {
		return err
	}

	paths := make([]string, l.options.programs)
	start := time.Now()
	if err := n.deployVariants(ctx, paths); err != nil {
		return n.fault(err)
	}
	took := time.Since(start)
	n.settle(ctx)
	deployed, err := n.usage()
	if err != nil {
		return err
	}

	client := newClient(n.addr)
	rounds := make([][]time.Duration, 3)
	order := rand.New(rand.NewPCG(1, 2)).Perm(len(paths))
	for r := range rounds {
		for _, i := range order {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			start := time.Now()
			status, body, err := client.get(paths[i])
			rounds[r] = append(rounds[r], time.Since(start))
			if err != nil {
				return n.fault(err)
			}
			if want := variantBody(i); status != 200 || body != want {
				return n.fault(fmt.Errorf("program %d answered %d %.200q, not 200 %q", i, status, body, want))
			}
		}
	}
	called, err := n.usage()
	if err != nil {
		return err
	}

	title := fmt.Sprintf("%s JavaScript programs, ", figure(float64(len(paths))))
	for r, times := range rounds {
		slices.Sort(times)
		at := func(p float64) string { return figure(milliseconds(percentile(times, p))) }
		name := []string{"first", "second", "third"}[r]
		l.report.value(title+name+" call of each, median", "ms", milliseconds(percentile(times, 50)), none,
			fmt.Sprintf("in random order, none failed; p90 %s, p99 %s, max %s", at(90), at(99), at(100)))
	}
	each := float64(called.rss-idle.rss) / float64(len(paths)) / 1024
	l.report.value(title+"memory above an empty node", "MiB", mib(called.rss-idle.rss), none,
		fmt.Sprintf("%s KiB each; anonymous %.0f MiB; before the calls %.0f MiB; idle %.0f MiB", figure(each), mib(called.anon-idle.anon), mib(deployed.rss-idle.rss), mib(idle.rss)))
	l.report.value(title+"deploy of each", "ms", milliseconds(took)/float64(len(paths)), none, "by the command, two at a time")
	return nil
}

// deployVariants deploys one program for each of paths, two at a time, and fills in their paths.
func (n *node) deployVariants(ctx context.Context, paths []string) error {
	const workers = 2
	var (
		wg   sync.WaitGroup
		next atomic.Int64
		errs [workers]error
	)
	for w := range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(paths) || ctx.Err() != nil {
					return
				}
				source := fmt.Appendf(nil, "const own = %d;\nexport default function (req) { return { message: `program ${own}` }; }\n", i)
				paths[i], errs[w] = n.deploy(ctx, program{name: fmt.Sprintf("variant-%d", i), source: source, memory: 128, timeout: 10})
				if errs[w] != nil {
					next.Store(int64(len(paths)))
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs[:], ctx.Err())...)
}

func variantBody(i int) string { return fmt.Sprintf(`{"message":"program %d"}`, i) }

// client sends requests of requestSize bytes over kept connections. It is safe for concurrent use.
type client struct {
	host fasthttp.HostClient
}

func newClient(addr string) *client {
	return &client{fasthttp.HostClient{Addr: addr, MaxConns: 256, ReadTimeout: 30 * time.Second, NoDefaultUserAgentHeader: true, MaxIdemponentCallAttempts: 1}}
}

// get does one GET and returns status and body.
func (c *client) get(path string) (status int, body string, err error) {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	_, padding := fixedRequest(c.host.Addr, path)
	request.SetRequestURI("http://" + c.host.Addr + path)
	request.Header.Set("X-Padding", padding)
	if err := c.host.Do(request, response); err != nil {
		return 0, "", fmt.Errorf("GET %s: %w", path, err)
	}
	return response.StatusCode(), string(response.Body()), nil
}

// close ends the idle connections.
func (c *client) close() { c.host.CloseIdleConnections() }
