// Package node puts the parts together: it opens the data folder, serves HTTP, and closes everything in order.
package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/api"
	"github.com/aleph-edge/aleph-edge/egress"
	"github.com/aleph-edge/aleph-edge/host"
	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/logs"
	"github.com/aleph-edge/aleph-edge/network"
	"github.com/aleph-edge/aleph-edge/programs"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/runtime/javascript"
	"github.com/aleph-edge/aleph-edge/runtime/pool"
	"github.com/aleph-edge/aleph-edge/runtime/python"
	"github.com/aleph-edge/aleph-edge/runtime/wasm"
	"github.com/aleph-edge/aleph-edge/triggers/delivery"
	triggers "github.com/aleph-edge/aleph-edge/triggers/http"
	"github.com/aleph-edge/aleph-edge/triggers/message"
	"github.com/aleph-edge/aleph-edge/usage"
)

// Version is the node's, a part of /api/v0/node.
const Version = "0.1.0"

// Node is a running node.
type Node struct {
	config Config
	id     string

	db         *kv.DB
	logs       *logs.Logs
	meter      *usage.Meter
	engine     *wasm.Engine
	pool       *pool.Pool
	registry   *programs.Registry
	egress     *egress.Client
	dispatcher *host.Dispatcher
	trigger    *triggers.Trigger
	delivery   *delivery.Handler
	queue      *queue.Queue
	network    *network.Node
	events     events
	handler    fasthttp.RequestHandler
	server     *fasthttp.Server
	listener   *net.TCPListener

	life context.Context // ends when the node begins to stop
	end  context.CancelFunc
	work sync.WaitGroup // of the goroutines that life ends
}

// Open opens the data folder and the address. Nothing is served until Serve. The error's Hint says what to do.
func Open(config Config) (_ *Node, err error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	n := &Node{config: config}
	for _, c := range config.chains {
		n.events.followed = append(n.events.followed, c.Name)
	}
	n.life, n.end = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	tcp, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return nil, listenError(config.Listen, err)
	}
	n.listener = tcp.(*net.TCPListener)
	if err := os.MkdirAll(config.Data, 0o700); err != nil {
		return nil, &Error{fmt.Sprintf("the data folder cannot be made: %v", err), "choose another with --data"}
	}
	if n.db, err = kv.Open(filepath.Join(config.Data, "db"), kv.Options{}); err != nil {
		if errors.Is(err, kv.ErrInUse) {
			return nil, &Error{"the data folder " + config.Data + " is in use by another node", "stop that node, or choose another folder with --data"}
		}
		return nil, err
	}
	if n.id, err = nodeID(n.db); err != nil {
		return nil, err
	}
	if n.logs, err = logs.Open(filepath.Join(config.Data, "logs"), logs.Options{Sink: config.LogSink}); err != nil {
		return nil, err
	}
	if n.meter, err = usage.Open(n.db, usage.Options{Log: config.Log}); err != nil {
		return nil, err
	}
	slots := config.Instances
	if slots > 0 {
		slots += programs.BuildSlots()
	}
	if n.engine, err = wasm.NewEngine(wasm.Config{Memory: config.Memory, Slots: slots}); err != nil {
		return nil, &Error{err.Error(), "raise vm.max_map_count (sysctl) or the address space limit (ulimit -v), or give programs more with --memory"}
	}
	n.pool = pool.New(n.engine, pool.Config{Procs: runtime.GOMAXPROCS(0), Slots: max(1, n.engine.Slots()-programs.BuildSlots())})
	n.egress = egress.New(egress.Config{Allow: config.allowEgress})
	n.dispatcher = host.New(host.Config{NodeID: n.id, Egress: n.egress, Meter: n.meter, Logs: n.logs, Log: config.Log,
		Stores: func(program string) kv.Store { return n.db.Store(program, kv.Quota{}) }})
	if n.registry, err = programs.Open(programs.Config{DB: n.db, Engine: n.engine, Pool: n.pool, Folder: filepath.Join(config.Data, "images"), Engines: config.Cache,
		CodePath:  func(hash string) string { return filepath.Join(config.Data, "blobs", hash) },
		Languages: languages(),
		Attach:    n.dispatcher.Attach,
		Changed:   n.changed,
		Removed:   n.drop,
		Preparing: n.preparing,
		Logged: func(program string, level int, text []byte) {
			n.logs.Append(program, logs.Entry{Time: time.Now(), Level: logs.Level(level), Message: string(text)})
		}}); err != nil {
		return nil, err
	}
	if n.trigger, err = triggers.New(n.dispatcher, config.MaxBody, config.Log); err != nil {
		return nil, err
	}
	n.delivery = delivery.New(delivery.Config{Dispatcher: n.dispatcher, Programs: n.registry,
		Draft: func(program string) *kv.Draft { return n.db.Draft(program, kv.Quota{}) }})
	if n.queue, err = queue.Open(n.db, queue.Options{Handler: n.delivery, Policy: n.delivery.Policy, Settled: n.settled, MaxDepth: host.MaxDepth, Log: config.Log}); err != nil {
		return nil, err
	}
	if n.network, err = network.Open(n.db, config.Data, network.NodeOptions{Programs: &deployments{n}, Allow: config.allows, Log: config.Log}); err != nil {
		return nil, err
	}
	if err := n.openEvents(); err != nil {
		return nil, err
	}
	handler := &api.API{Config: api.Config{Life: n.life, NodeID: n.id, Version: Version, Open: config.open(), MaxBody: maxUpload,
		Trigger: n.trigger, Programs: n.registry, Logs: n.logs, Meter: n.meter, Queue: n.queue, Sources: n.events.sources, Topics: n.events.messages.PostTopic, Counters: n.Counters, Log: config.Log,
		Messages: network.NewHandler(n.network, network.HandlerOptions{WriteError: api.WriteRejection, MaxFile: maxUpload, Depth: message.Depth}),
		Requests: network.NewRequestVerifier(n.db, n.id, time.Now)}}
	n.handler = handler.Handle
	n.server = &fasthttp.Server{
		Handler:                      n.handler,
		ErrorHandler:                 protocolError(config.MaxBody),
		Logger:                       serverLog{config.Log},
		StreamRequestBody:            true,
		HeaderReceived:               triggers.HeaderReceived(max(maxUpload, config.MaxBody)),
		ReadBufferSize:               8 << 10,     // bounds the request's line and headers; each connection has one
		ReadTimeout:                  time.Minute, // also while a connection is idle
		WriteTimeout:                 time.Minute,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		NoDefaultDate:                false,
		DisablePreParseMultipartForm: true,
		CloseOnShutdown:              true,
	}
	n.work.Go(n.trim)
	n.work.Go(n.warm)
	n.work.Go(n.runEvents)
	return n, nil
}

// languages are the engines of this node, in the order they are made ready.
func languages() []programs.Language {
	all := []programs.Language{{Name: "javascript", Runtimes: javascript.Runtimes(), Version: javascript.Version(), Module: javascript.Module}}
	var prelude []programs.File
	for _, f := range python.InitFiles() {
		prelude = append(prelude, programs.File{Path: f.Path, Content: f.Content})
	}
	for _, e := range python.Engines() {
		all = append(all, programs.Language{Name: e.Name(), Runtimes: e.Runtimes(), Version: e.Version(), Module: e.Module, Init: prelude})
	}
	return all
}

// maxUpload bounds a form with a program's code: the code, and room for the message.
const maxUpload = programs.MaxCode + 1<<20

// Address is where the node listens.
func (n *Node) Address() net.Addr { return n.listener.Addr() }

// ID is the node's id; it stays with the data folder.
func (n *Node) ID() string { return n.id }

// Serve answers requests until the context ends, then lets those under way end, for up to the grace period, and closes the
// node.
func (n *Node) Serve(ctx context.Context) error {
	served := make(chan error, 1)
	accepting := listener{n.listener, newSilent()}
	go func() { served <- n.server.Serve(accepting) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		n.config.Log.Info("shutting down", "requests", n.dispatcher.InFlight())
		n.end()
		interrupt := time.AfterFunc(n.config.Grace, func() {
			n.config.Log.Warn("requests are interrupted", "requests", n.dispatcher.InFlight())
			n.dispatcher.Interrupt()
		})
		drained, cancel := context.WithTimeout(context.Background(), 2*n.config.Grace) // a second call would not wait
		var beside sync.WaitGroup
		shut := make(chan struct{})
		beside.Go(func() { n.queue.Close(drained) })
		beside.Go(func() { accepting.silent.close(shut) })
		err = n.server.ShutdownWithContext(drained)
		close(shut)
		beside.Wait()
		cancel()
		interrupt.Stop()
	}
	return errors.Join(err, n.close())
}

// close closes what is open, last opened first.
func (n *Node) close() error {
	var errs []error
	n.end()
	n.work.Wait()
	if n.listener != nil {
		if err := n.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if n.queue != nil {
		interrupted, cancel := context.WithCancel(context.Background())
		cancel()
		n.queue.Close(interrupted)
	}
	if n.network != nil {
		n.network.Close()
	}
	if n.dispatcher != nil {
		n.dispatcher.Close()
	}
	if n.egress != nil {
		n.egress.Close()
	}
	if n.trigger != nil {
		errs = append(errs, n.trigger.Close())
	}
	compiling := false
	if n.registry != nil {
		err := n.registry.Close(n.config.Grace)
		if compiling = errors.Is(err, programs.ErrCompiling); compiling {
			n.config.Log.Warn("a compilation is left behind; the next start begins it anew")
		} else {
			errs = append(errs, err)
		}
	}
	if n.engine != nil && !compiling {
		n.pool.Close()
		errs = append(errs, n.engine.Close())
	}
	if n.meter != nil {
		errs = append(errs, n.meter.Close())
	}
	if n.logs != nil {
		errs = append(errs, n.logs.Close())
	}
	if n.db != nil {
		errs = append(errs, n.db.Close())
	}
	return errors.Join(errs...)
}

// warm makes the languages' engines ready, which takes seconds the first time on a machine; a deploy or call that needs one
// waits for it.
func (n *Node) warm() {
	if err := n.registry.Warm(n.life); err != nil && n.life.Err() == nil {
		n.config.Log.Error("a language cannot be made ready", "error", err)
	}
}

// preparing tells how a language is made ready.
func (n *Node) preparing(p programs.Preparation) {
	switch {
	case p.Step == "ready":
		n.config.Log.Info(fmt.Sprintf("preparing %s … done in %.1f s", p.Language, p.Took.Seconds()))
	case p.Err == nil:
		n.config.Log.Info(fmt.Sprintf("preparing %s: %s", p.Language, p.Step))
	}
}

// idleTime is how long an instance may be idle before its memory is given back.
const idleTime = 5 * time.Minute

func (n *Node) trim() {
	ticker := time.NewTicker(idleTime)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			n.pool.Trim(now)
		case <-n.life.Done():
			return
		}
	}
}

// Counters is what the node holds now.
func (n *Node) Counters() map[string]int64 {
	stats := n.pool.Stats()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	counters := map[string]int64{
		"goroutines":         int64(runtime.NumGoroutine()),
		"instances_in_use":   int64(stats.InUse),
		"instances_idle":     int64(stats.Idle),
		"instances_limit":    int64(stats.Slots),
		"invocations":        int64(n.dispatcher.InFlight()),
		"guests_running":     int64(stats.Running),
		"idle_bytes":         stats.Resident,
		"memory_left_bytes":  n.engine.Budget(),
		"heap_bytes":         int64(memory.HeapAlloc),
		"stack_bytes":        int64(memory.StackInuse),
		"operations_waiting": int64(n.dispatcher.Operations()),
		"connections_out":    int64(n.egress.Connections()),
	}
	counters["events_running"] = int64(n.queue.Running())
	for _, b := range n.events.brokers.Load().List() {
		counters["brokers"]++
		if b.State == "connected" {
			counters["brokers_connected"]++
		}
		counters["broker_messages_in_flight"] += int64(b.InFlight)
	}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		counters["descriptors"] = int64(len(entries))
	}
	if entries, err := os.ReadDir("/proc/self/task"); err == nil {
		counters["threads"] = int64(len(entries))
	}
	return counters
}

// nodeID reads the node's id from the database, or makes it.
func nodeID(db *kv.DB) (id string, err error) {
	const key = "node/id"
	err = db.Update(func(tx *kv.Txn) error {
		stored, found, err := tx.Get(key)
		if err != nil || found {
			id = string(stored)
			return err
		}
		var fresh [16]byte
		if _, err := rand.Read(fresh[:]); err != nil {
			return err
		}
		id = hex.EncodeToString(fresh[:])
		return tx.Set(key, []byte(id))
	})
	return id, err
}

// protocolError answers requests that cannot be read.
func protocolError(maxBody int) func(ctx *fasthttp.RequestCtx, err error) {
	return func(ctx *fasthttp.RequestCtx, err error) {
		var small *fasthttp.ErrSmallBuffer
		switch {
		case errors.Is(err, fasthttp.ErrBodyTooLarge):
			triggers.WriteError(ctx, abi.ErrBodyTooLarge, fmt.Sprintf("the limit is %d bytes", maxBody), nil)
		case errors.As(err, &small):
			triggers.WriteError(ctx, abi.ErrHeadersTooLarge, "", nil)
		case errors.Is(err, os.ErrDeadlineExceeded):
			triggers.WriteError(ctx, abi.ErrRequestTimeout, "", nil)
		default:
			triggers.WriteError(ctx, abi.ErrBadRequest, "", nil)
		}
		ctx.SetConnectionClose()
	}
}

// serverLog takes what fasthttp says; clients that misbehave are no news.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Printf(format string, args ...any) {
	l.log.Debug("http", "message", strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func listenError(address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return &Error{"the address " + address + " is in use", "stop what listens there, or choose another with --listen"}
	}
	return &Error{fmt.Sprintf("the node cannot listen on %s: %v", address, err), "give an address of this machine and a port with --listen"}
}
