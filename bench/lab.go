package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lab is what the sections of one run share: the options, the machine's cores, a folder of its own, the report.
type lab struct {
	options
	report *report
	self   string // this binary
	tmp    string // removed at the end
	// serverCPU and loadCPU are the cores that pinned servers and their load run on; both -1 on a one-core machine,
	// where nothing is pinned.
	serverCPU, loadCPU int
	started            int // processes so far; numbers their logs
}

func newLab(o options) (*lab, error) {
	if _, err := exec.LookPath(o.aleph); err != nil {
		return nil, fmt.Errorf("--aleph: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l := &lab{options: o, report: &report{}, self: self, serverCPU: -1, loadCPU: -1}
	if l.tmp, err = os.MkdirTemp("", "aleph-bench-"); err != nil {
		return nil, err
	}
	if err := raiseOpenFiles(); err != nil {
		l.progress("open files: %v", err)
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("the cores allowed: %w", err)
	}
	for cpu := range len(set) * 64 {
		if !set.IsSet(cpu) {
			continue
		}
		if l.loadCPU < 0 {
			l.loadCPU = cpu
			continue
		}
		l.serverCPU = cpu
		break
	}
	if l.serverCPU < 0 {
		l.loadCPU = -1
		l.progress("one core only: nothing is pinned")
	}
	l.describe()
	return l, nil
}

func (l *lab) close() { os.RemoveAll(l.tmp) }

func (l *lab) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

// raiseOpenFiles raises the soft limit of open files to the hard one, here and in the processes started from here.
// Go raises its own at start, but gives children the original one unless the program sets it.
func raiseOpenFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// describe records the machine and the versions that are compared.
func (l *lab) describe() {
	add := func(name, value string) {
		l.report.Machine = append(l.report.Machine, fact{name, strings.TrimSpace(value)})
	}
	cpu := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	var u unix.Utsname
	unix.Uname(&u)
	load, _ := os.ReadFile("/proc/loadavg")
	add("machine", fmt.Sprintf("%d × %s, Linux %s, load average at start %.4s", runtime.NumCPU(), cpu, unix.ByteSliceToString(u.Release[:]), load))
	version := func(name string, args ...string) string {
		out, _ := exec.Command(name, args...).CombinedOutput() // wrk -v exits 1
		line, _, _ := strings.Cut(string(out), "\n")
		return line
	}
	wrk, _, _ := strings.Cut(version("wrk", "-v"), " Copyright")
	add("versions", strings.Join([]string{runtime.Version(), wrk, version(l.workerd(), "--version"), "node " + version("node", "--version")}, ", "))
	if l.serverCPU >= 0 {
		add("pinned", fmt.Sprintf("servers to core %d (GOMAXPROCS=1), load to core %d", l.serverCPU, l.loadCPU))
	}
}

// process is a server that the bench started and stops.
type process struct {
	name string
	addr string // host:port it was told to listen on
	cmd  *exec.Cmd
	log  string        // file with its output
	done chan struct{} // closed when it has exited
}

// pinned is the command that runs argv on one core; argv itself if cpu is negative.
func pinned(cpu int, argv ...string) []string {
	if cpu < 0 {
		return argv
	}
	return append([]string{"taskset", "-c", strconv.Itoa(cpu)}, argv...)
}

// start starts a server that will listen on addr, on the servers' core if pin, and returns at once.
func (l *lab) start(name, addr string, pin bool, env []string, argv ...string) (*process, error) {
	l.started++
	p := &process{name: name, addr: addr, log: filepath.Join(l.tmp, fmt.Sprintf("%02d-%s.log", l.started, name)), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	env = append(os.Environ(), env...)
	if pin && l.serverCPU >= 0 {
		argv = pinned(l.serverCPU, argv...)
		env = append(env, "GOMAXPROCS=1")
	}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches the bench, which stops its servers
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// ready waits until GET path answers 200, for at most 30 s.
func (p *process) ready(ctx context.Context, path string) error {
	deadline := time.After(30 * time.Second)
	for {
		a, err := get(p.addr, path)
		if err == nil && a.status == 200 {
			return nil
		}
		select {
		case <-p.done:
			return p.fault(errors.New("exited"))
		case <-deadline:
			return p.fault(errors.New("not ready after 30 s"))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// alive is nil as long as the process runs.
func (p *process) alive() error {
	select {
	case <-p.done:
		return p.fault(fmt.Errorf("died: %s", p.cmd.ProcessState))
	default:
		return nil
	}
}

// fault adds the end of the process's output to err.
func (p *process) fault(err error) error {
	out, _ := os.ReadFile(p.log)
	if len(out) > 2000 {
		out = out[len(out)-2000:]
	}
	return fmt.Errorf("%s: %w; its last output:\n%s", p.name, err, bytes.TrimSpace(out))
}

// stop ends the process: SIGTERM, and SIGKILL after 10 s.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// freeAddr is an address of 127.0.0.1 that nobody listens on.
func freeAddr() (string, error) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
