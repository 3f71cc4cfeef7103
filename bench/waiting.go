package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"
)

// jsWait is a JavaScript program that waits ?sleep= milliseconds on a timer.
var jsWait = program{name: "wait", file: "functions/wait.js", memory: 128, timeout: 60}

// waiting holds many requests at once, each in a guest that waits on a timer, and looks at the node meanwhile.
func (l *lab) waiting(ctx context.Context) error {
	for _, c := range []struct {
		what            string
		program         program
		guests          int
		sleep           time.Duration
		threads, memory bound
	}{
		{"compiled", echo, l.options.waiting, l.sleep, bound{"<", 64}, bound{"<", 300}},
		{"JavaScript", jsWait, l.jsWait, l.sleep / 2, none, none},
	} {
		if err := l.hold(ctx, c.what, c.program, c.guests, c.sleep, c.threads, c.memory); err != nil {
			return fmt.Errorf("%d %s guests: %w", c.guests, c.what, err)
		}
	}
	return nil
}

// hold has that many guests of one program waiting at once on a new node.
func (l *lab) hold(ctx context.Context, what string, p program, guests int, sleep time.Duration, threads, memory bound) error {
	n, paths, err := l.serve(ctx, false, p)
	if err != nil {
		return err
	}
	defer n.stop()
	if _, err := n.expect(paths[0]+"?sleep=1", helloWorld); err != nil {
		return err
	}
	n.settle(ctx)
	idle, err := n.usage()
	if err != nil {
		return err
	}

	var held heldResult
	finished := make(chan error, 1)
	go func() {
		path := fmt.Sprintf("%s?sleep=%d", paths[0], sleep.Milliseconds())
		finished <- runRole(ctx, []string{l.self, "hold", "-addr", n.addr, "-quick", paths[0], "-path", path,
			"-n", strconv.Itoa(guests), "-server", strconv.Itoa(n.cmd.Process.Pid)}, &held)
	}()
	peak := idle
	for running := true; running; {
		select {
		case err = <-finished:
			running = false
		case <-time.After(100 * time.Millisecond):
			if now, err := n.usage(); err == nil {
				peak.threads, peak.rss, peak.anon = max(peak.threads, now.threads), max(peak.rss, now.rss), max(peak.anon, now.anon)
			}
		}
	}
	if err != nil {
		return n.fault(err)
	}
	if err := n.alive(); err != nil {
		return err
	}
	if held.OK != guests {
		return n.fault(fmt.Errorf("%d of %d answered 200; the other statuses: %v", held.OK, guests, held.Others))
	}
	if held.FirstAnswer < held.LastSent {
		return fmt.Errorf("not all at once: the first answer came after %.1f s, the last request was sent after %.1f s; a wait of %s is too short",
			held.FirstAnswer, held.LastSent, sleep)
	}

	n.settle(ctx)
	after, err := n.usage()
	if err != nil {
		return err
	}
	title := fmt.Sprintf("%s %s guests waiting at once, ", figure(float64(guests)), what)
	each := float64(peak.rss-held.ConnectedRSS) / float64(guests) / 1024
	note := fmt.Sprintf("all 200; requests sent in %.1f s, answers in %.1f s; %d threads idle", held.LastSent, held.LastAnswer-held.FirstAnswer, idle.threads)
	l.report.value(title+"threads", "", float64(peak.threads), threads, note)
	note = fmt.Sprintf("anonymous %.0f MiB; above the same connections without requests %.0f MiB, %s KiB each, anonymous %.0f MiB; idle %.0f MiB, afterwards %.0f MiB",
		mib(peak.anon-idle.anon), mib(peak.rss-held.ConnectedRSS), figure(each), mib(peak.anon-held.ConnectedAnon), mib(idle.rss), mib(after.rss))
	l.report.value(title+"memory above idle", "MiB", mib(peak.rss-idle.rss), memory, note)
	return nil
}

// heldResult is what the role "hold" prints. Times are seconds since the first request was sent.
type heldResult struct {
	OK                                int
	Others                            map[int]int // by status
	LastSent, FirstAnswer, LastAnswer float64
	// The server's memory in bytes when all connections were open and idle, after one quick request on each.
	ConnectedRSS, ConnectedAnon int64
}

// holdRequests is the role "hold": it prints what holdAll saw.
func holdRequests(args []string) error {
	f := flag.NewFlagSet("hold", flag.ContinueOnError)
	addr := f.String("addr", "", "server")
	quick := f.String("quick", "/", "path of the first request of each connection")
	path := f.String("path", "/", "path of the second")
	n := f.Int("n", 1, "connections")
	server := f.Int("server", 0, "the server's process id")
	if err := f.Parse(args); err != nil {
		return err
	}
	if err := raiseOpenFiles(); err != nil {
		return fmt.Errorf("open files: %w", err)
	}
	result, err := holdAll(*addr, *quick, *path, *n, *server)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

// holdAll opens n connections, makes a quick request on one after the other, looks at the server's memory, sends one request
// on each, and waits for all answers, from one thread.
func holdAll(addr, quick, path string, n, server int) (heldResult, error) {
	c, err := dialClients(addr, n)
	if err != nil {
		return heldResult{}, err
	}
	defer c.close()
	connected, err := c.connected(addr, quick, server)
	if err != nil {
		return heldResult{}, err
	}
	bytes, _ := fixedRequest(addr, path)
	result := heldResult{Others: map[int]int{}, ConnectedRSS: connected.rss, ConnectedAnon: connected.anon}
	start, last := time.Now(), time.Now()
	answers := 0
	done := func(_, status int) {
		last = time.Now()
		if answers++; answers == 1 {
			result.FirstAnswer = last.Sub(start).Seconds()
		}
		if status == 200 {
			result.OK++
		} else {
			result.Others[status]++
		}
	}
	for i := range n {
		if err := c.send(i, bytes); err != nil {
			return result, err
		}
		if err := c.poll(0, done); err != nil {
			return result, err
		}
	}
	result.LastSent = time.Since(start).Seconds()
	for answers < n {
		if time.Since(last) > 70*time.Second && time.Since(start) > 70*time.Second {
			return result, fmt.Errorf("%d requests were not answered", n-answers)
		}
		if err := c.poll(1000, done); err != nil {
			return result, err
		}
	}
	result.LastAnswer = last.Sub(start).Seconds()
	return result, nil
}

// connected makes a request on one connection after the other and gives what the server uses a second later.
func (c *clients) connected(addr, path string, server int) (usage, error) {
	bytes, _ := fixedRequest(addr, path)
	for i := range c.conns {
		if err := c.send(i, bytes); err != nil {
			return usage{}, err
		}
		status := 0
		for start := time.Now(); status == 0; {
			if err := c.poll(1000, func(_, answered int) { status = answered }); err != nil {
				return usage{}, err
			}
			if time.Since(start) > 10*time.Second {
				return usage{}, fmt.Errorf("connection %d: the quick request was not answered", i+1)
			}
		}
		if status != 200 {
			return usage{}, fmt.Errorf("connection %d: the quick request was answered %d", i+1, status)
		}
	}
	time.Sleep(time.Second)
	return readUsage(fmt.Sprintf("/proc/%d", server))
}
