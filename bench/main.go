// Command bench measures a node beside plain fasthttp, workerd, Node.js and Python's servers, in one run on one machine, and prints one
// table of ratios. Absolute figures are stated for orientation; only figures of the same run compare.
//
// It starts every server itself, each as a process of its own on a free port of 127.0.0.1, and stops them again. Run it
// with bench/run (or `make bench`), which builds the binaries and installs what is compared. README.md says what each row means.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags of a run.
type options struct {
	aleph    string        // path of the aleph binary
	dir      string        // the bench folder: node_modules, workerd and nodejs
	only     []string      // sections to run; all if empty
	reps     int           // alternating runs of each server; medians are over these
	seconds  int           // length of one load run
	waiting  int           // compiled guests waiting at once
	jsWait   int           // JavaScript guests waiting at once
	sleep    time.Duration // how long each of them waits
	programs int           // deployed JavaScript programs
	cold     int           // restarts, and deploys
	mixed    time.Duration // length of the mixed load
	nodeArgs []string      // further arguments of `aleph node`
	json     bool
}

// sections in the order they run. Each starts its own servers and leaves none behind.
var sections = []struct {
	name string
	run  func(*lab, context.Context) error
}{
	{"hot", (*lab).hot},
	{"js", (*lab).js},
	{"compiled", (*lab).compiled},
	{"python", (*lab).python},
	{"p99", (*lab).p99},
	{"cold", (*lab).cold},
	{"waiting", (*lab).waiting},
	{"programs", (*lab).programs},
	{"events", (*lab).events},
	{"mixed", (*lab).mixed},
}

// roles are what this binary does when a run starts it as another process.
var roles = map[string]func([]string) error{
	"plain": servePlain,
	"rate":  constantRate,
	"hold":  holdRequests,
}

func main() {
	if len(os.Args) > 1 {
		if role, ok := roles[os.Args[1]]; ok {
			if err := role(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, "error:", err)
				os.Exit(1)
			}
			return
		}
	}
	o, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func parseOptions(args []string) (options, error) {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	all := strings.Join(names, ",")

	o := options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := f.String("only", "", "sections to run, comma separated: "+all+" (all if empty)")
	f.StringVar(&o.aleph, "aleph", "aleph", "the aleph `binary`")
	f.StringVar(&o.dir, "dir", "bench", "the bench `folder`")
	f.IntVar(&o.reps, "reps", 5, "alternating runs of each server")
	f.IntVar(&o.seconds, "seconds", 2, "length of one load run")
	f.IntVar(&o.waiting, "waiting", 10_000, "compiled guests waiting at once")
	f.IntVar(&o.jsWait, "js-waiting", 1_000, "JavaScript guests waiting at once")
	f.DurationVar(&o.sleep, "sleep", 20*time.Second, "how long each of them waits")
	f.IntVar(&o.programs, "programs", 1_000, "JavaScript programs deployed and called in turn")
	f.IntVar(&o.cold, "cold", 10, "restarts, and deploys, whose median is taken")
	f.DurationVar(&o.mixed, "mixed", time.Minute, "length of the mixed load")
	f.Func("node-arg", "further `argument` of aleph node (repeatable)", func(v string) error {
		o.nodeArgs = append(o.nodeArgs, v)
		return nil
	})
	f.BoolVar(&o.json, "json", false, "print JSON instead of the table")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	for name := range strings.SplitSeq(*only, ",") {
		if name == "" {
			continue
		}
		if !slices.Contains(names, name) {
			return o, fmt.Errorf("--only: unknown section %q; there are %s", name, all)
		}
		o.only = append(o.only, name)
	}
	if min(o.reps, o.seconds, o.cold, o.programs, o.waiting, o.jsWait) < 1 {
		return o, errors.New("--reps, --seconds, --cold, --programs, --waiting and --js-waiting must be at least 1")
	}
	return o, nil
}

// run runs the sections and prints the report. A section that fails does not keep the next from running;
// its error is in the report, and returned.
func run(ctx context.Context, o options) error {
	l, err := newLab(o)
	if err != nil {
		return err
	}
	defer l.close()

	l.progress("compiling the engines …")
	if err := l.prepare(ctx); err != nil {
		return err
	}
	var failed []error
	for _, s := range sections {
		if len(o.only) > 0 && !slices.Contains(o.only, s.name) || ctx.Err() != nil {
			continue
		}
		start := time.Now()
		l.progress("%s …", s.name)
		l.report.section = s.name
		if err := s.run(l, ctx); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
			l.progress("%s: %v", s.name, err)
			continue
		}
		l.progress("%s: done in %.0f s", s.name, time.Since(start).Seconds())
	}
	if ctx.Err() != nil {
		failed = append(failed, errors.New("interrupted"))
	}
	l.report.fail(failed)
	if o.json {
		err = l.report.writeJSON(os.Stdout)
	} else {
		err = l.report.writeTable(os.Stdout)
	}
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of the sections did not complete, see above", len(failed))
	}
	return nil
}
