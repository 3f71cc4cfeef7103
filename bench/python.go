package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"
)

var (
	helloPython = program{name: "hello-python", file: "functions/hello.py", runtime: "python3.11", memory: 128, timeout: 10}
	hello313    = program{name: "hello-python-313", file: "functions/hello.py", runtime: "python3.13", memory: 128, timeout: 10}
	helloFlask  = program{name: "hello-flask", folder: "python/flask", runtime: "python3.11", memory: 128, timeout: 10}
)

const helloText = "Hello, World!"

// python compares Python functions, whose every request has an interpreter of its own, with servers on native CPython 3.11
// whose requests share one.
func (l *lab) python(ctx context.Context) error {
	for _, pin := range l.pinnings() {
		if err := l.pythonRate(ctx, pin); err != nil {
			return err
		}
	}
	return errors.Join(l.pythonCold(ctx), l.pythonPrograms(ctx))
}

func (l *lab) pythonRate(ctx context.Context, pin bool) error {
	n, paths, err := l.serve(ctx, pin, helloPython, hello313, helloFlask)
	if err != nil {
		return err
	}
	defer n.stop()
	workers := 1
	if !pin {
		workers = runtime.NumCPU()
	}
	uvicorn, err := l.startPython(ctx, "uvicorn", pin, "--app-dir", filepath.Join(l.dir, "python"), "--workers", strconv.Itoa(workers),
		"--no-access-log", "--log-level", "warning", "asgi:app")
	if err != nil {
		return err
	}
	defer uvicorn.stop()
	gunicorn, err := l.startPython(ctx, "gunicorn", pin, "--chdir", filepath.Join(l.dir, "python/flask"), "--workers", strconv.Itoa(workers),
		"--worker-class", "sync", "--log-level", "warning", "main:app")
	if err != nil {
		return err
	}
	defer gunicorn.stop()
	query := "?name=Alice"
	s, err := l.alternate(ctx, pin, target{n.process, paths[0] + query, helloAlice}, target{n.process, paths[1] + query, helloAlice},
		target{uvicorn, "/" + query, `{"message": "Hello, Alice!"}`}, target{n.process, paths[2] + "/", helloText}, target{gunicorn, "/", helloText})
	if err != nil {
		return err
	}
	l.report.compareSeries("Python 3.11 hello", pin, s[0], "uvicorn", s[2], bound{"≥", 1}, none)
	l.report.compareSeries("Python 3.13 hello", pin, s[1], "uvicorn", s[2], none, none)
	l.report.compareSeries("Flask hello", pin, s[3], "gunicorn", s[4], bound{"≥", 0.5}, none)
	return nil
}

// startPython starts a server of python/requirements.txt on native CPython.
func (l *lab) startPython(ctx context.Context, server string, pin bool, args ...string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(addr)
	where := []string{"--bind", addr}
	if server == "uvicorn" {
		where = []string{"--host", host, "--port", port}
	}
	p, err := l.start(server, addr, pin, nil, append([]string{filepath.Join(l.dir, "python/venv/bin", server)}, append(where, args...)...)...)
	if err != nil {
		return nil, err
	}
	return p, p.readyOrStop(ctx)
}

// pythonCold measures the first request to a program after its node's restart, and how much of that the run in a fresh instance
// takes by the node's own records.
func (l *lab) pythonCold(ctx context.Context) error {
	n, paths, err := l.serve(ctx, false, helloPython, helloFlask)
	if err != nil {
		return err
	}
	defer func() { n.stop() }()
	for _, call := range []struct {
		what, path, body, id string
		restart, fresh       bound
	}{
		{"Python hello", paths[0] + "?name=Alice", helloAlice, helloPython.name, bound{"<", 20}, bound{"<", 1}},
		{"Flask hello", paths[1] + "/", helloText, helloFlask.name, none, bound{"<", 5}},
	} {
		var first, fresh []float64
		for range l.options.cold {
			n.stop()
			if err := n.launch(ctx, false); err != nil {
				return err
			}
			start := time.Now()
			if _, err := n.expect(call.path, call.body); err != nil {
				return err
			}
			first = append(first, milliseconds(time.Since(start)))
			took, err := n.firstRun(ctx, call.id)
			if err != nil {
				return err
			}
			fresh = append(fresh, took)
		}
		l.report.value("first request after a restart, "+call.what, "ms", median(first), call.restart, spread(first))
		l.report.value("first run in a fresh instance, "+call.what, "ms of CPU", median(fresh), call.fresh, spread(fresh))
	}
	return nil
}

// firstRun is the CPU time in ms, making the instance included, of the program's only run since the node's start.
func (n *node) firstRun(ctx context.Context, id string) (float64, error) {
	out, err := n.command(ctx, "program", "usage", id, "--json", "--records", "1").Output()
	if err != nil {
		return 0, fmt.Errorf("usage of %s: %w", id, err)
	}
	var usage struct {
		Records []struct {
			Cold bool    `json:"cold"`
			Init float64 `json:"init_ns"`
			CPU  float64 `json:"cpu_ns"`
		} `json:"records"`
	}
	if err := json.Unmarshal(out, &usage); err != nil {
		return 0, err
	}
	if len(usage.Records) != 1 || !usage.Records[0].Cold {
		return 0, fmt.Errorf("%s: the record of its first run is not there: %s", id, out)
	}
	return (usage.Records[0].Init + usage.Records[0].CPU) / 1e6, nil
}

// pythonPrograms deploys Python programs, each with code of its own, and calls all of them in turn.
func (l *lab) pythonPrograms(ctx context.Context) error {
	const count = 200
	n, err := l.startNode(ctx, false)
	if err != nil {
		return err
	}
	defer n.stop()
	variant := func(i int) program {
		return program{name: fmt.Sprintf("python-%d", i), runtime: "python3.11", memory: 128, timeout: 10, extension: ".py",
			source: fmt.Appendf(nil, "own = %d\n\ndef handler(req):\n    return {'message': f'program {own}'}\n", i)}
	}
	if _, err := n.deploy(ctx, variant(count)); err != nil { // the engine is ready then
		return n.fault(err)
	}
	n.settle(ctx)
	idle, err := n.usage()
	if err != nil {
		return err
	}
	paths := make([]string, count)
	start := time.Now()
	for i := range paths {
		if paths[i], err = n.deploy(ctx, variant(i)); err != nil {
			return n.fault(err)
		}
	}
	took := time.Since(start)
	n.settle(ctx)
	deployed, err := n.usage()
	if err != nil {
		return err
	}
	var rounds [3][]float64
	for r := range rounds {
		for i, path := range paths {
			start := time.Now()
			if _, err := n.expect(path, variantBody(i)); err != nil {
				return err
			}
			rounds[r] = append(rounds[r], milliseconds(time.Since(start)))
		}
	}
	warm, err := n.usage()
	if err != nil {
		return err
	}
	title := fmt.Sprintf("%d Python programs, ", count)
	for r, times := range rounds {
		slices.Sort(times)
		l.report.value(title+[]string{"first", "second", "third"}[r]+" call of each, median", "ms", median(times), none,
			fmt.Sprintf("none failed; p99 %s, max %s", figure(percentile(times, 99)), figure(percentile(times, 100))))
	}
	each := func(bytes int64) float64 { return float64(bytes) / count / 1024 }
	size, err := folderSize(filepath.Join(n.data, "images"))
	if err != nil {
		return err
	}
	l.report.value(title+"memory of each that is idle", "KiB", each(deployed.pss-idle.pss), none, "proportional set size above a node with one")
	l.report.value(title+"memory of each with a warm instance", "KiB", each(warm.pss-idle.pss), none,
		fmt.Sprintf("proportional set size; anonymous %s KiB", figure(each(warm.anon-idle.anon))))
	l.report.value(title+"disk", "MiB", mib(size), none, "images of all, without the engines' machine code")
	l.report.value(title+"deploy of each", "ms", milliseconds(took)/count, none, "by the command, one after the other")
	return nil
}

// folderSize is what the files below a folder take on the disk, in bytes.
func folderSize(folder string) (int64, error) {
	out, err := exec.Command("du", "-s", "--block-size=1", folder).Output()
	if err != nil {
		return 0, err
	}
	var size int64
	_, err = fmt.Sscan(string(out), &size)
	return size, err
}

// command is aleph on the node, by its account.
func (n *node) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, n.lab.aleph, args...)
	cmd.Env = append(os.Environ(), "HOME="+n.lab.tmp, "ALEPH_API_HOST=http://"+n.addr, "ALEPH_PRIVATE_KEY="+n.key)
	return cmd
}
