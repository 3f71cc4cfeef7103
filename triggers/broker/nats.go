package broker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/aleph-edge/aleph-edge/triggers"
	"github.com/aleph-edge/aleph-edge/triggers/message"
)

const (
	missedBeats = 3 // without so many NATS brings a message again

	// connectWait bounds a connection attempt and each request to JetStream, fetchWait how long one waits for messages.
	connectWait = 10 * time.Second
	fetchWait   = 5 * time.Second
)

// nats is a session of NATS. The client connects again by itself, so that messages stay in flight meanwhile.
func (l *link) nats(ctx context.Context) error {
	conn, err := l.dialNATS()
	if err != nil {
		return err
	}
	defer conn.Close()
	consumer, err := l.consumer(ctx, conn)
	if err != nil {
		return err
	}
	l.set("connected", nil)
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	for ctx.Err() == nil {
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		free := 1
		for l.take() {
			free++
		}
		err := l.fetch(ctx, &work, consumer, free)
		if err != nil && ctx.Err() == nil {
			if conn.IsConnected() {
				return err
			}
			l.set("failed", err)
			if !reconnected(ctx, conn) {
				return err
			}
			l.set("connected", nil)
		}
	}
	return nil
}

// fetch takes as many messages as there are places, as they come within fetchWait.
func (l *link) fetch(ctx context.Context, work *sync.WaitGroup, consumer jetstream.Consumer, free int) error {
	defer func() {
		for range free {
			l.give()
		}
	}()
	waiting, cancel := context.WithTimeout(ctx, fetchWait)
	defer cancel()
	batch, err := consumer.Fetch(free, jetstream.FetchContext(waiting))
	if err != nil {
		return fmt.Errorf("fetch messages of %s: %w", l.source.Stream, err)
	}
	for m := range batch.Messages() {
		n, err := natsNote(m)
		if err != nil {
			return err
		}
		free--
		before, own := l.turn()
		work.Go(func() {
			defer l.give()
			l.deliver(ctx, n, before, own)
		})
	}
	if err := batch.Error(); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) {
		return fmt.Errorf("fetch messages of %s: %w", l.source.Stream, err)
	}
	return nil
}

// reconnected waits until the client has connected again: false if it will not.
func reconnected(ctx context.Context, conn *nats.Conn) bool {
	ticker := time.NewTicker(minPause / 4)
	defer ticker.Stop()
	for !conn.IsConnected() {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
			if conn.IsClosed() {
				return false
			}
		}
	}
	return true
}

func (l *link) dialNATS() (*nats.Conn, error) {
	s := &l.source
	options := []nats.Option{nats.Name("aleph"), nats.Timeout(connectWait), nats.MaxReconnects(-1), nats.ReconnectWait(minPause),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			l.t.cfg.Log.Warn("a broker reports an error", "broker", s.String(), "error", err)
		})}
	scheme := "nats://"
	if s.TLS {
		config, err := l.tls()
		if err != nil {
			return nil, err
		}
		scheme, options = "tls://", append(options, nats.Secure(config))
	}
	switch {
	case s.Credentials != "":
		options = append(options, nats.UserCredentials(s.Credentials))
	case s.password != "":
		options = append(options, nats.UserInfo(s.user, s.password))
	case s.user != "":
		options = append(options, nats.Token(s.user))
	}
	conn, err := nats.Connect(scheme+s.Address, options...)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// consumer is the durable one, which is made if it is not there. One that is there stays as it is.
func (l *link) consumer(ctx context.Context, conn *nats.Conn) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	s, ackWait := &l.source, missedBeats*l.t.beat
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	consumer, err := js.Consumer(ctx, s.Stream, s.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = js.CreateConsumer(ctx, s.Stream, jetstream.ConsumerConfig{Durable: s.Consumer, FilterSubject: s.Subject,
			AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: s.InFlight})
	}
	if err != nil {
		return nil, fmt.Errorf("consumer %s of stream %s: %w", s.Consumer, s.Stream, err)
	}
	config := consumer.CachedInfo().Config
	switch {
	case config.AckPolicy != jetstream.AckExplicitPolicy:
		return nil, fmt.Errorf("consumer %s of stream %s: its acknowledgements must be explicit", s.Consumer, s.Stream)
	case config.AckWait < ackWait:
		return nil, fmt.Errorf("consumer %s of stream %s: its ack wait is %v, must be at least %v", s.Consumer, s.Stream, config.AckWait, ackWait)
	case s.Subject != "" && config.FilterSubject != s.Subject:
		return nil, fmt.Errorf("consumer %s of stream %s: it is there already, with the subject %q", s.Consumer, s.Stream, config.FilterSubject)
	}
	return consumer, nil
}

// natsNote: a message's number may come again when its stream is made anew, but not at the same time.
func natsNote(m jetstream.Msg) (*note, error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("a message without JetStream's data: %w", err)
	}
	id := fmt.Sprintf("nats:%s:%d:%x", meta.Stream, meta.Sequence.Stream, meta.Timestamp.UnixNano())
	if len(id) > message.MaxKey {
		id = fmt.Sprintf("nats:%.16x:%d:%x", sha256.Sum256([]byte(meta.Stream)), meta.Sequence.Stream, meta.Timestamp.UnixNano())
	}
	n := &note{id: id, body: m.Data(), depth: triggers.Depth(m.Headers().Get(triggers.LoopHeader)), contentType: printable(m.Headers().Get("Content-Type"))}
	n.alive = func() { _ = m.InProgress() } // without it the message comes again, and is known
	n.end = func(v verdict) {               // so it does without this
		switch v {
		case acknowledged:
			_ = m.Ack()
		case dead:
			_ = m.TermWithReason("a program failed; the node keeps it as a dead letter")
		case refused:
			_ = m.TermWithReason("it can be no event")
		}
	}
	return n, nil
}

// printable is a content type, or nothing if it is none.
func printable(text string) string {
	if len(text) > message.MaxContentType {
		return ""
	}
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			return ""
		}
	}
	return text
}
