package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what /proc tells of a process, and of those that it started.
type usage struct {
	cpu     time.Duration // user and system, of all its threads, ended ones included; steps of 10 ms
	rss     int64         // bytes, shared and file pages included
	anon    int64         // bytes of it that no file backs
	pss     int64         // bytes, of shared pages its part
	threads int
	fds     int
}

// clockTick is the unit of the times in /proc/<pid>/stat: USER_HZ, 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

func (p *process) usage() (usage, error) {
	if err := p.alive(); err != nil {
		return usage{}, err
	}
	pid := p.cmd.Process.Pid
	u, err := readUsage(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		return u, err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return u, err
	}
	for _, child := range strings.Fields(string(children)) {
		if c, err := readUsage("/proc/" + child); err == nil { // else it has ended
			u.add(c)
		}
	}
	return u, nil
}

func (u *usage) add(c usage) {
	u.cpu += c.cpu
	u.rss += c.rss
	u.anon += c.anon
	u.pss += c.pss
	u.threads += c.threads
	u.fds += c.fds
}

func readUsage(dir string) (usage, error) {
	var u usage
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return u, err
	}
	// The command in parentheses may hold anything; utime and stime are fields 14 and 15, the state after it is field 3.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 13 {
		return u, fmt.Errorf("%s/stat: %d fields", dir, len(fields))
	}
	for _, f := range fields[11:13] {
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return u, fmt.Errorf("%s/stat: %w", dir, err)
		}
		u.cpu += time.Duration(ticks) * clockTick
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "VmRSS":
			u.rss = n << 10
		case "RssAnon":
			u.anon = n << 10
		case "Threads":
			u.threads = int(n)
		}
	}
	rollup, err := os.ReadFile(dir + "/smaps_rollup")
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(rollup)) {
		if rest, found := strings.CutPrefix(line, "Pss:"); found {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			u.pss = n << 10
		}
	}
	fds, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return u, err
	}
	u.fds = len(fds)
	return u, nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
