package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// load is one program's part of the mixed load: so many clients, each sending the next request when the last is answered.
type load struct {
	program program
	query   string
	clients int
	status  int    // the right answer
	body    string // of a good program; failing ones answer what they like
}

var mixture = []load{
	{echo, "", 4, 200, helloWorld},
	{hello, "?name=Alice", 4, 200, helloAlice},
	{jsWait, "?sleep=50", 4, 200, helloWorld},
	{program{name: "throw", file: "functions/throw.js", memory: 128, timeout: 10}, "", 2, 500, ""},
	{program{name: "loop", file: "functions/loop.js", memory: 128, timeout: 1}, "", 2, 504, ""},
	{program{name: "memory", file: "functions/memory.js", memory: 64, timeout: 10}, "", 2, 500, ""},
}

func (l load) good() bool { return l.body != "" }

// outcome is what became of one program's requests.
type outcome struct {
	right    int
	wrong    map[string]int // by what was answered instead
	requests []time.Duration
}

// mixed loads a node with good, throwing, looping and memory-hungry programs together, and compares the node's counters before and after.
func (l *lab) mixed(ctx context.Context) error {
	var programs []program
	for _, m := range mixture {
		programs = append(programs, m.program)
	}
	n, paths, err := l.serve(ctx, false, programs...)
	if err != nil {
		return err
	}
	defer n.stop()

	// The first seconds fill the node's pools and caches: what is compared is the state after them and after the whole load.
	const warm = 3 * time.Second
	if _, err := n.mix(ctx, paths, warm); err != nil {
		return err
	}
	n.settle(ctx)
	before, err := n.counters()
	if err != nil {
		return err
	}
	outcomes, err := n.mix(ctx, paths, l.options.mixed)
	if err != nil {
		return err
	}
	n.settle(ctx)
	after, err := n.counters()
	if err != nil {
		return err
	}

	for i, m := range mixture {
		a, err := get(n.addr, paths[i]+m.query)
		if what := m.wrong(a.status, string(a.body), err); what != "" {
			return n.fault(fmt.Errorf("after the load, %s: %s", m.program.name, what))
		}
	}

	length := fmt.Sprintf("%.0f s of mixed load, ", l.options.mixed.Seconds())
	var good, failed int
	wrong := map[string]int{}
	for i, o := range outcomes {
		if !mixture[i].good() {
			continue
		}
		good += o.right
		for what, count := range o.wrong {
			failed += count
			wrong[what] += count
		}
	}
	l.report.value(length+"errors of good programs", "", float64(failed), bound{"=", 0}, fmt.Sprintf("of %s requests%s", figure(float64(good+failed)), list(wrong)))
	for i, o := range outcomes {
		slices.Sort(o.requests)
		if len(o.requests) == 0 {
			return fmt.Errorf("%s: no request was answered", mixture[i].program.name)
		}
		l.report.value(fmt.Sprintf("%s%s (%d), p99", length, mixture[i].program.name, mixture[i].status), "ms", milliseconds(percentile(o.requests, 99)), none,
			fmt.Sprintf("%s right answers%s", figure(float64(o.right)), list(o.wrong)))
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		want := none
		if leakable.MatchString(name) {
			want = bound{"≤", before[name] + leakSlack}
		}
		l.report.value(length+name+" afterwards", "", after[name], want, fmt.Sprintf("%s before, %s more", figure(before[name]), figure(after[name]-before[name])))
	}
	return nil
}

// leakable are the counters that a request must give back what it took of; leakSlack is how many more there may be after
// tens of thousands of requests, for what a database or a runtime opens at times.
var leakable = regexp.MustCompile(`threads|descriptors|fds|goroutines|fibers|instances|operations`)

const leakSlack = 16

// mix runs the mixture for that long and waits for the last answers. Its outcomes are in the mixture's order.
func (n *node) mix(ctx context.Context, paths []string, length time.Duration) ([]outcome, error) {
	c := newClient(n.addr)
	defer c.close()
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	outcomes := make([]outcome, len(mixture))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, m := range mixture {
		outcomes[i].wrong = map[string]int{}
		for range m.clients {
			wg.Go(func() {
				for ctx.Err() == nil {
					start := time.Now()
					status, body, err := c.get(paths[i] + m.query)
					took := time.Since(start)
					what := m.wrong(status, body, err)
					mu.Lock()
					o := &outcomes[i]
					o.requests = append(o.requests, took)
					if what == "" {
						o.right++
					} else {
						o.wrong[what]++
					}
					mu.Unlock()
					if what != "" {
						time.Sleep(10 * time.Millisecond) // a node that refuses or died is not flooded
					}
				}
			})
		}
	}
	wg.Wait()
	return outcomes, n.alive()
}

// wrong says what is wrong with an answer; nothing if it is as it should be.
func (l load) wrong(status int, body string, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case status != l.status:
		return fmt.Sprintf("status %d %.120s", status, errorCode(body))
	case l.good() && body != l.body:
		return fmt.Sprintf("body %.60q", body)
	default:
		return ""
	}
}

// errorCode is the code in a node's error body, the body itself if there is none.
func errorCode(body string) string {
	var e struct{ Error struct{ Code string } }
	if json.Unmarshal([]byte(body), &e) == nil && e.Error.Code != "" {
		return e.Error.Code
	}
	return body
}

// list writes counts out for a note.
func list(counts map[string]int) string {
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "; %d × %s", counts[what], what)
	}
	return b.String()
}

// counters are what must not grow with the requests served: the process's threads, descriptors and memory, and what the
// node counts itself (every number of GET /about/usage/system, by its path in the document; none if the node has no such).
func (n *node) counters() (map[string]float64, error) {
	u, err := n.usage()
	if err != nil {
		return nil, err
	}
	c := map[string]float64{"threads": float64(u.threads), "descriptors": float64(u.fds), "memory, MiB": mib(u.rss)}
	a, err := get(n.addr, "/about/usage/system")
	if err != nil || a.status != 200 {
		return c, err
	}
	var document any
	if err := json.Unmarshal(a.body, &document); err != nil {
		return nil, fmt.Errorf("/about/usage/system: %w", err)
	}
	flatten(c, "", document)
	return c, nil
}

func flatten(into map[string]float64, path string, v any) {
	switch v := v.(type) {
	case float64:
		into[path] = v
	case map[string]any:
		for name, inner := range v {
			flatten(into, strings.TrimPrefix(path+"."+name, "."), inner)
		}
	}
}
