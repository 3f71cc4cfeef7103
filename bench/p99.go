package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"time"
)

// p99 compares latencies at one rate for both: half of what the slower of the two can do.
func (l *lab) p99(ctx context.Context) error {
	pin := l.serverCPU >= 0
	n, paths, err := l.serve(ctx, pin, hello)
	if err != nil {
		return err
	}
	defer n.stop()
	w, err := l.startWorkerd(ctx, pin)
	if err != nil {
		return err
	}
	defer w.stop()

	path := paths[0] + "?name=Alice"
	targets := []target{{n.process, path, helloAlice}, {w, path, helloAlice}}
	slowest := 0.0
	for _, t := range targets {
		if _, err := t.expect(t.path, t.body); err != nil {
			return err
		}
		if _, _, err := l.wrk(ctx, t, pin, 1); err != nil {
			return err
		}
		rps, _, err := l.wrk(ctx, t, pin, l.seconds)
		if err != nil {
			return err
		}
		if slowest == 0 || rps < slowest {
			slowest = rps
		}
	}
	rate := max(int(slowest/2)/100*100, 100)
	results := make([][]latencies, len(targets))
	for range l.reps {
		for i, t := range targets {
			r, err := l.atRate(ctx, t, pin, rate)
			if err != nil {
				return t.fault(err)
			}
			results[i] = append(results[i], r)
		}
	}
	pick := func(i int, of func(latencies) float64) (values []float64) {
		for _, r := range results[i] {
			values = append(values, of(r))
		}
		return values
	}
	for _, q := range []struct {
		name string
		of   func(latencies) float64
		want bound
	}{
		{"p50", func(r latencies) float64 { return r.P50 }, none},
		{"p99", func(r latencies) float64 { return r.P99 }, bound{"≤", 1}},
		{"p99.9", func(r latencies) float64 { return r.P999 }, none},
	} {
		what := fmt.Sprintf("JavaScript hello, %s at %s requests/s", q.name, figure(float64(rate)))
		l.report.compare(what, "ms", pick(0, q.of), "workerd", pick(1, q.of), q.want)
	}
	return nil
}

// latencies are the percentiles of one constant-rate run, in milliseconds.
type latencies struct {
	Requests        int
	P50, P99, P999  float64
	Failed, Unsent  int
	FirstFailStatus int
}

// atRate runs the role "rate" on the load's core.
func (l *lab) atRate(ctx context.Context, t target, pin bool, rate int) (latencies, error) {
	argv := []string{l.self, "rate", "-addr", t.addr, "-path", t.path, "-rate", strconv.Itoa(rate), "-seconds", strconv.Itoa(l.seconds + 1)}
	if pin {
		argv = pinned(l.loadCPU, argv...)
	}
	var r latencies
	if err := runRole(ctx, argv, &r); err != nil {
		return r, err
	}
	if r.Failed > 0 || r.Unsent > 0 {
		return r, fmt.Errorf("at %d requests/s %d of %d failed (the first with %d), %d could not be sent", rate, r.Failed, r.Requests, r.FirstFailStatus, r.Unsent)
	}
	return r, nil
}

// runRole runs a role of this binary to its end and decodes what it prints.
func runRole(ctx context.Context, argv []string, result any) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(out, result)
}

// constantRate is the role "rate": it prints what openLoop measures.
func constantRate(args []string) error {
	f := flag.NewFlagSet("rate", flag.ContinueOnError)
	addr := f.String("addr", "", "server")
	path := f.String("path", "/", "path")
	rate := f.Int("rate", 1000, "requests per second")
	seconds := f.Int("seconds", 3, "length")
	connections := f.Int("connections", 64, "connections")
	if err := f.Parse(args); err != nil {
		return err
	}
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	result, err := openLoop(*addr, *path, *rate, *seconds, *connections)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// openLoop loads a server at a constant rate. Request i is due at i/rate whatever became of those before it, and its
// latency counts from then, not from when a connection was free to send it: a server that stalls is charged for everyone who
// waited (no coordinated omission). The loop spins on its core and does not allocate. Latencies are kept and sorted: exact.
// The first half second warms up and does not count.
func openLoop(addr, path string, rate, seconds, connections int) (latencies, error) {
	c, err := dialClients(addr, connections)
	if err != nil {
		return latencies{}, err
	}
	defer c.close()
	bytes, _ := fixedRequest(addr, path)
	var (
		total  = rate * seconds
		warm   = rate / 2
		taken  = make([]time.Duration, 0, total)
		number = make([]int, connections) // the request in flight on each connection
		free   = make([]int, connections)
		result = latencies{Requests: total - warm}
		next   int
		busy   int
		start  = time.Now()
	)
	for i := range free {
		free[i] = i
	}
	due := func(i int) time.Duration { return time.Duration(i) * time.Second / time.Duration(rate) }
	done := func(conn, status int) {
		i := number[conn]
		if i >= warm {
			taken = append(taken, time.Since(start)-due(i))
			if status != 200 {
				if result.Failed == 0 {
					result.FirstFailStatus = status
				}
				result.Failed++
			}
		}
		free = append(free, conn)
		busy--
	}
	// Requests that are due but find no connection go on waiting for 5 s after the last one's time.
	end := due(total) + 5*time.Second
	for next < total || busy > 0 {
		now := time.Since(start)
		if now > end {
			break
		}
		for next < total && len(free) > 0 && due(next) <= now {
			conn := free[len(free)-1]
			free = free[:len(free)-1]
			number[conn] = next
			if err := c.send(conn, bytes); err != nil {
				return result, err
			}
			next++
			busy++
		}
		if err := c.poll(0, done); err != nil {
			return result, err
		}
	}
	if len(taken) == 0 {
		return result, errors.New("no answer")
	}
	result.Unsent = total - next + busy
	slices.Sort(taken)
	ms := func(p float64) float64 { return percentile(taken, p).Seconds() * 1000 }
	result.P50, result.P99, result.P999 = ms(50), ms(99), ms(99.9)
	return result, nil
}
