package node

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"github.com/aleph-edge/aleph-edge/abi"
	"github.com/aleph-edge/aleph-edge/programs"
	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers/broker"
	"github.com/aleph-edge/aleph-edge/triggers/chain"
	"github.com/aleph-edge/aleph-edge/triggers/delivery"
	"github.com/aleph-edge/aleph-edge/triggers/http"
	"github.com/aleph-edge/aleph-edge/triggers/message"
	"github.com/aleph-edge/aleph-edge/triggers/schedule"
)

// events are what makes the queue's events, in step with what is deployed.
type events struct {
	messages *message.Trigger
	followed []string // names of the chains that this node follows
	brokers  atomic.Pointer[broker.Trigger]

	mu      sync.Mutex
	sources *delivery.Sources // nil until all that was deployed is in force
	early   []string          // programs that were forgotten before that
}

// openEvents puts in force what all programs declare, and lets events run.
func (n *Node) openEvents() (err error) {
	e := &n.events
	if e.messages, err = message.Open(message.Config{DB: n.db, Queue: n.queue, Network: n.network, WriteError: writeError, Log: n.config.Log}); err != nil {
		return err
	}
	schedules, err := schedule.Open(schedule.Config{DB: n.db, Queue: n.queue, Log: n.config.Log})
	if err != nil {
		return err
	}
	chains, err := chain.Open(chain.Config{DB: n.db, Queue: n.queue, Chains: n.config.chains, Log: n.config.Log})
	if err != nil {
		return err
	}
	brokers, err := broker.Open(broker.Config{DB: n.db, Queue: n.queue, Sources: n.config.brokers, Post: e.messages.Post, Log: n.config.Log})
	if err != nil {
		return err
	}
	e.brokers.Store(brokers)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sources, err = delivery.NewSources([]delivery.Source{schedules, e.messages, chains}, n.registry.List("")); err != nil {
		return err
	}
	for _, id := range e.early {
		err = errors.Join(err, e.sources.Remove(id), n.queue.Drop(id))
	}
	n.delivery.Begin(map[uint32]delivery.Former{abi.KindSchedule: schedules, abi.KindMessage: e.messages, abi.KindTopic: e.messages,
		abi.KindLog: chains, abi.KindBlock: chains, abi.KindTransfer: chains})
	return err
}

// settled tells the brokers how events ended.
func (n *Node) settled(s queue.Settlement) {
	if b := n.events.brokers.Load(); b != nil {
		b.Settled(s)
	}
}

// runEvents makes events until the node begins to stop.
func (n *Node) runEvents() {
	var brokers sync.WaitGroup
	brokers.Go(func() {
		if err := n.events.brokers.Load().Run(n.life); err != nil && n.life.Err() == nil {
			n.config.Log.Error("brokers are read no more", "error", err)
		}
	})
	defer brokers.Wait()
	if err := n.events.sources.Run(n.life); err != nil {
		n.config.Log.Error("events are made no more", "error", err)
	}
}

// changed puts in force what another version of a program declares. Before openEvents nothing is: it reads all there is.
func (n *Node) changed(p *programs.Program) {
	n.events.mu.Lock()
	sources := n.events.sources
	n.events.mu.Unlock()
	if sources == nil {
		return
	}
	if err := sources.Set(p); err != nil {
		n.config.Log.Error("a program's triggers are not in force; the next start tries again", "program", p.ID, "error", err)
	}
}

// dropEvents ends a forgotten program's triggers and drops its events.
func (n *Node) dropEvents(id string) error {
	e := &n.events
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sources == nil {
		e.early = append(e.early, id)
		return nil
	}
	return errors.Join(e.sources.Remove(id), n.queue.Drop(id))
}

// writeError answers with an error in the form that all of the node's have.
func writeError(ctx *fasthttp.RequestCtx, status int, code, text, hint string) {
	http.WriteErrorText(ctx, status, code, text, hint, nil)
}
