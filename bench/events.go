package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// events measures how long it takes from a post to a topic until its function runs, on a node with nothing else to do: the function
// tells by a request to this process. The post's answer, which comes when the event is on the disk, is measured, too.
func (l *lab) events(ctx context.Context) error {
	const rounds = 300
	arrived := make(chan time.Time, 1)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- time.Now() })}
	go server.Serve(listener)
	defer server.Close()

	n, err := l.startNode(ctx, false, "--allow-egress", "127.0.0.1")
	if err != nil {
		return err
	}
	defer n.stop()
	source := fmt.Sprintf("export default async (req, { event }) => { if (event.kind === 'topic') await fetch('http://%s/'); }", listener.Addr())
	if _, err := n.deploy(ctx, program{name: "events", source: []byte(source), memory: 128, timeout: 10, more: []string{"--topic", "bench"}}); err != nil {
		return err
	}
	n.settle(ctx)
	var accepted, run []float64
	for range rounds {
		begun := time.Now()
		answer, err := http.Post("http://"+n.addr+"/api/v0/topics/bench", "text/plain", nil)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != http.StatusAccepted {
			return n.fault(fmt.Errorf("a post was answered with %s", answer.Status))
		}
		accepted = append(accepted, milliseconds(time.Since(begun)))
		select {
		case at := <-arrived:
			run = append(run, milliseconds(at.Sub(begun)))
		case <-time.After(10 * time.Second):
			return n.fault(fmt.Errorf("an event did not run within 10 s"))
		}
	}
	slices.Sort(accepted)
	slices.Sort(run)
	l.report.value("topic: post to answer (on disk), p50", "ms", percentile(accepted, 50), none, fmt.Sprintf("p99 %.2f", percentile(accepted, 99)))
	l.report.value("topic: post to the function's own request, p50", "ms", percentile(run, 50), bound{"<", 5}, fmt.Sprintf("p99 %.2f; %d in turn", percentile(run, 99), rounds))
	return l.eventBenchmarks(ctx)
}

// eventBenchmarks runs the benchmarks that lie beside the code of triggers: what they count lies inside of a node.
func (l *lab) eventBenchmarks(ctx context.Context) error {
	var rates []float64
	for range 3 {
		rate, err := l.goBenchmark(ctx, "./triggers/message", "BenchmarkMatchAndQueue", "60000x", "messages/s")
		if err != nil {
			return err
		}
		rates = append(rates, rate["BenchmarkMatchAndQueue"])
	}
	l.report.value("messages through 10,000 programs' filters into the queue, one core", "messages/s", median(rates), bound{"≥", 20_000},
		fmt.Sprintf("%s to %s", figure(slices.Min(rates)), figure(slices.Max(rates))))
	var trigger, provider []float64
	for range 3 {
		rate, err := l.goBenchmark(ctx, "./triggers/chain", "BenchmarkBackfill", "3x", "logs/s")
		if err != nil {
			return err
		}
		trigger, provider = append(trigger, rate["BenchmarkBackfill/trigger"]), append(provider, rate["BenchmarkBackfill/provider"])
	}
	l.report.compare("logs of old blocks, found and queued", "logs/s", trigger, "eth_getLogs alone", provider, bound{"≥", 0.8})
	return nil
}

// goBenchmark runs a benchmark of this module and gives one of its metrics, by the names of its parts.
func (l *lab) goBenchmark(ctx context.Context, pkg, name, times, metric string) (map[string]float64, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^"+name+"$", "-benchtime", times, "-timeout", "10m", pkg)
	cmd.Dir = filepath.Join(l.dir, "..")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, out)
	}
	rates := map[string]float64{}
	line := regexp.MustCompile(`(?m)^(Benchmark\S+?)(?:-\d+)?\s.*?([\d.e+]+) ` + regexp.QuoteMeta(metric))
	for _, found := range line.FindAllStringSubmatch(string(out), -1) {
		if rates[found[1]], err = strconv.ParseFloat(found[2], 64); err != nil {
			return nil, err
		}
	}
	if len(rates) == 0 {
		return nil, fmt.Errorf("%s printed no %s: %s", name, metric, out)
	}
	return rates, nil
}
