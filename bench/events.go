package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
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
	return nil
}
