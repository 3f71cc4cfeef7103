package broker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/aleph-edge/aleph-edge/kv"
	"github.com/aleph-edge/aleph-edge/queue"
)

const (
	keepAlive = 30 * time.Second
	farewell  = 250 // milliseconds, for what is still to be written

	// packets is how many messages a broker can have without an acknowledgement.
	packets = 1 << 16
)

var errLost = errors.New("the connection is lost")

// client is what a session is known by: at most 23 bytes, which every broker takes.
func client(node, filter string) string {
	return fmt.Sprintf("aleph-%s%.4x", node, sha256.Sum256([]byte(filter)))
}

// mqtt is a session of MQTT: one connection. Its acknowledgements are for this connection only, as packet numbers are.
func (l *link) mqtt(ctx context.Context) error {
	s := &mqttSession{l: l, ready: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	options, err := s.options()
	if err != nil {
		return err
	}
	conn := mqtt.NewClient(options)
	defer conn.Disconnect(farewell)
	defer s.close()
	connecting, ok := conn.Connect().(*mqtt.ConnectToken)
	if err := done(s.ctx, connecting); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if ok && !connecting.SessionPresent() {
		if err := l.forget(); err != nil {
			return err
		}
	}
	close(s.ready)
	if err := done(s.ctx, conn.Subscribe(l.source.Filter, l.source.QoS, nil)); err != nil {
		return fmt.Errorf("subscribe to %s: %w", l.source.Filter, err)
	}
	l.set("connected", nil)
	<-s.ctx.Done()
	return context.Cause(s.ctx)
}

// done waits for what the client was asked to do.
func done(ctx context.Context, token mqtt.Token) error {
	timer := time.NewTimer(connectWait)
	defer timer.Stop()
	select {
	case <-token.Done():
		return token.Error()
	case <-timer.C:
		return fmt.Errorf("no answer within %v", connectWait)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// An mqttSession is one connection.
type mqttSession struct {
	l      *link
	ctx    context.Context
	cancel context.CancelCauseFunc
	ready  chan struct{} // closed when it is known whether the broker knows the session

	mu     sync.Mutex
	closed bool           // no work begins any more
	work   sync.WaitGroup // messages in flight
	left   bool           // a message had no place: it comes again with a new connection
}

// close ends what is in flight.
func (s *mqttSession) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel(nil)
	s.work.Wait()
}

func (s *mqttSession) options() (*mqtt.ClientOptions, error) {
	source := &s.l.source
	options := mqtt.NewClientOptions().SetClientID(source.Client).SetCleanSession(false).SetProtocolVersion(4).
		SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(connectWait).SetWriteTimeout(connectWait).SetKeepAlive(keepAlive).
		SetAutoAckDisabled(true).SetUsername(source.user).SetPassword(source.password).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { s.cancel(fmt.Errorf("%w: %v", errLost, err)) }).
		SetDefaultPublishHandler(s.receive) // also for what comes before the subscription is renewed
	if !source.TLS {
		return options.AddBroker("tcp://" + source.Address), nil
	}
	config, err := s.l.tls()
	if err != nil {
		return nil, err
	}
	return options.AddBroker("ssl://" + source.Address).SetTLSConfig(config), nil
}

// receive takes a message from the client, which waits meanwhile.
func (s *mqttSession) receive(_ mqtt.Client, m mqtt.Message) {
	select {
	case <-s.ready:
	case <-s.ctx.Done():
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if !s.l.take() {
		s.left = s.left || m.Qos() > 0
		return
	}
	before, own := s.l.turn()
	s.work.Go(func() {
		defer s.free()
		n, err := s.note(m)
		if err != nil {
			s.cancel(err)
			close(own)
			return
		}
		s.l.deliver(s.ctx, n, before, own)
	})
}

// free gives a place back. With the last one, what had none is to come again.
func (s *mqttSession) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.l.give()
	if len(s.l.slots) == 0 && s.left {
		s.cancel(errors.New("more messages came than may be in flight; connecting again for the rest"))
	}
}

// note gives a message its id. It is that of before if the broker says that the message comes again, and it is the last with its
// number and not acknowledged; otherwise a new one, on the disk before the message is posted.
func (s *mqttSession) note(m mqtt.Message) (*note, error) {
	n := &note{body: m.Payload(), end: func(verdict) {}}
	if m.Qos() == 0 {
		n.id = queue.NewID()
		return n, nil
	}
	key := s.l.packetKey(m.MessageID())
	content := sha256.Sum256(append([]byte(m.Topic()+"\x00"), m.Payload()...))
	err := s.l.t.cfg.DB.GroupUpdate(func(tx *kv.Txn) error {
		stored, _, err := tx.Get(key)
		if err != nil {
			return err
		}
		if id, same := bytes.CutPrefix(stored, content[:]); same && m.Duplicate() {
			n.id = string(id)
			return nil
		}
		n.id = queue.NewID()
		return tx.Set(key, append(content[:], n.id...))
	})
	if err != nil {
		return nil, fmt.Errorf("write a message's number: %w", err)
	}
	n.end = func(verdict) {
		// Before the broker may use the number again.
		if err := s.l.t.cfg.DB.GroupUpdate(func(tx *kv.Txn) error { return tx.Delete(key) }); err != nil {
			s.cancel(fmt.Errorf("delete a message's number: %w", err))
			return
		}
		m.Ack()
	}
	return n, nil
}

func (l *link) packetsKey() string { return prefix + "mqtt/" + l.clientKey() + "/" }

// clientKey is of the session, on this broker.
func (l *link) clientKey() string {
	return fmt.Sprintf("%.8x", sha256.Sum256([]byte(l.source.Address+"\x00"+l.source.Client)))
}

func (l *link) packetKey(number uint16) string { return fmt.Sprintf("%s%04x", l.packetsKey(), number) }

// forget deletes the numbers of a session that the broker does not know: at most packets of them.
func (l *link) forget() error {
	const some = 1000
	for range packets/some + 1 {
		more := false
		err := l.t.cfg.DB.GroupUpdate(func(tx *kv.Txn) error {
			var keys []string
			for r, err := range tx.Iterate(l.packetsKey(), "") {
				if err != nil {
					return err
				}
				if keys = append(keys, r.Key); len(keys) == some {
					break
				}
			}
			more = len(keys) == some
			for _, key := range keys {
				if err := tx.Delete(key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("forget a session's numbers: %w", err)
		}
		if !more {
			break
		}
	}
	return nil
}
