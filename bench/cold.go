package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// cold measures the first request to a program after its node's restart, and the way from a deploy to the first answer.
// The page cache is warm: the node's files were read by the process before.
func (l *lab) cold(ctx context.Context) error {
	n, paths, err := l.serve(ctx, false, hello, echo)
	if err != nil {
		return err
	}
	defer func() { n.stop() }()
	path := paths[0] + "?name=Alice"
	if _, err := n.expect(path, helloAlice); err != nil {
		return err
	}

	var deployed []float64
	for i := range l.options.cold {
		// A program that the node has never seen, so that nothing of its image is there.
		source := fmt.Appendf(nil, "export default function () { return { message: 'fresh %d' }; }\n", i)
		start := time.Now()
		fresh, err := n.deploy(ctx, program{name: fmt.Sprintf("fresh-%d", i), source: source, memory: 128, timeout: 10})
		if err != nil {
			return n.fault(err)
		}
		if _, err := n.expect(fresh, fmt.Sprintf(`{"message":"fresh %d"}`, i)); err != nil {
			return err
		}
		deployed = append(deployed, milliseconds(time.Since(start)))
	}

	var up, first, compiled, second []float64
	for range l.options.cold {
		n.stop()
		start := time.Now()
		if err := n.launch(ctx, false); err != nil {
			return err
		}
		up = append(up, milliseconds(time.Since(start)))
		for _, call := range []struct {
			path, body string
			times      *[]float64
		}{{path, helloAlice, &first}, {paths[1], helloWorld, &compiled}, {path, helloAlice, &second}} {
			start := time.Now()
			if _, err := n.expect(call.path, call.body); err != nil {
				return err
			}
			*call.times = append(*call.times, milliseconds(time.Since(start)))
		}
	}
	l.report.value("first request after a restart, JavaScript", "ms", median(first), bound{"<", 5}, spread(first))
	l.report.value("first request after a restart, compiled", "ms", median(compiled), none, spread(compiled))
	l.report.value("second request, new connection, JavaScript", "ms", median(second), none, spread(second))
	l.report.value("start of the node to its first answer", "ms", median(up), none, spread(up))
	l.report.value("deploy (the command) to first answer, JavaScript", "ms", median(deployed), bound{"<", 1000}, spread(deployed))
	return nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// spread says what a row's median is of.
func spread(values []float64) string {
	return fmt.Sprintf("median of %d; %s–%s", len(values), figure(slices.Min(values)), figure(slices.Max(values)))
}
