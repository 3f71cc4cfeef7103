package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// target is a path of a server under load.
type target struct {
	*process
	path string
	body string // of every answer
}

// series are a target's figures, one for each of the alternating runs.
type series struct {
	rps []float64 // requests per second
	cpu []float64 // the server's CPU time per request, µs
}

// busy is the share of one core, in percent, that the server used.
func (s series) busy() float64 {
	shares := make([]float64, len(s.rps))
	for i := range shares {
		shares[i] = s.rps[i] * s.cpu[i] / 1e6 * 100
	}
	return median(shares)
}

// hot compares the small compiled guest with plain fasthttp answering the same bytes.
func (l *lab) hot(ctx context.Context) error {
	for _, pin := range l.pinnings() {
		n, paths, err := l.serve(ctx, pin, echo)
		if err != nil {
			return err
		}
		defer n.stop()
		guest := target{n.process, paths[0], helloWorld}
		sample, err := n.expect(guest.path, guest.body)
		if err != nil {
			return err
		}
		p, err := l.startPlain(ctx, pin, sample)
		if err != nil {
			return err
		}
		defer p.stop()
		s, err := l.alternate(ctx, pin, guest, target{p, guest.path, guest.body})
		if err != nil {
			return err
		}
		n.stop()
		p.stop()
		l.report.compareSeries("compiled guest", pin, s[0], "fasthttp", s[1], bound{"≥", 0.80}, bound{"≤", 1.5})
	}
	return nil
}

// js compares the guide's function with workerd and, for information, Node.js.
func (l *lab) js(ctx context.Context) error {
	for _, pin := range l.pinnings() {
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
		j, err := l.startNodejs(ctx, pin)
		if err != nil {
			return err
		}
		defer j.stop()
		path := paths[0] + "?name=Alice"
		s, err := l.alternate(ctx, pin, target{n.process, path, helloAlice}, target{w, path, helloAlice}, target{j, path, helloAlice})
		if err != nil {
			return err
		}
		n.stop()
		w.stop()
		j.stop()
		l.report.compareSeries("JavaScript hello", pin, s[0], "workerd", s[1], bound{"≥", 1.5}, none)
		l.report.compareSeries("JavaScript hello", pin, s[0], "Node.js", s[2], none, none)
	}
	return nil
}

// pinnings are the two ways that throughput is measured: pinned (where there are cores for it), and not.
func (l *lab) pinnings() []bool {
	if l.serverCPU < 0 {
		return []bool{false}
	}
	return []bool{true, false}
}

// alternate loads the targets in turn (A B A B …), after a second of warming each.
func (l *lab) alternate(ctx context.Context, pin bool, targets ...target) ([]series, error) {
	for _, t := range targets {
		if _, err := t.expect(t.path, t.body); err != nil {
			return nil, err
		}
		if _, _, err := l.wrk(ctx, t, pin, 1); err != nil {
			return nil, err
		}
	}
	all := make([]series, len(targets))
	for range l.reps {
		for i, t := range targets {
			rps, cpu, err := l.wrk(ctx, t, pin, l.seconds)
			if err != nil {
				return nil, err
			}
			all[i].rps = append(all[i].rps, rps)
			all[i].cpu = append(all[i].cpu, cpu)
		}
	}
	return all, nil
}

var (
	wrkRequests = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	wrkRate     = regexp.MustCompile(`(?m)^Requests/sec:\s*([\d.]+)`)
	wrkFaults   = regexp.MustCompile(`(?m)^\s*(Socket errors:.*|Non-2xx.*)$`)
)

// wrk loads a target from one thread over 32 connections. It returns requests per second and the server's CPU time per request
// in µs, or an error if any answer was not a 2xx.
func (l *lab) wrk(ctx context.Context, t target, pin bool, seconds int) (rps, cpu float64, err error) {
	_, padding := fixedRequest(t.addr, t.path)
	argv := []string{"wrk", "-t1", "-c32", fmt.Sprintf("-d%ds", seconds), "-H", "X-Padding: " + padding, "http://" + t.addr + t.path}
	if pin {
		argv = pinned(l.loadCPU, argv...)
	}
	before, err := t.usage()
	if err != nil {
		return 0, 0, err
	}
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("wrk on %s: %w: %s", t.name, err, out)
	}
	after, err := t.usage()
	if err != nil {
		return 0, 0, err
	}
	if fault := wrkFaults.Find(out); fault != nil {
		return 0, 0, t.fault(fmt.Errorf("under wrk: %s", strings.TrimSpace(string(fault))))
	}
	count, rate := wrkRequests.FindSubmatch(out), wrkRate.FindSubmatch(out)
	if count == nil || rate == nil {
		return 0, 0, fmt.Errorf("wrk on %s printed no rate: %s", t.name, out)
	}
	requests, _ := strconv.ParseFloat(string(count[1]), 64)
	rps, _ = strconv.ParseFloat(string(rate[1]), 64)
	if requests == 0 {
		return 0, 0, t.fault(fmt.Errorf("no answer within %d s", seconds))
	}
	return rps, float64(after.cpu-before.cpu) / float64(time.Microsecond) / requests, nil
}
