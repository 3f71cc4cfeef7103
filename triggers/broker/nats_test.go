package broker

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// natsServer is a real one, in this process.
type natsServer struct {
	t       testing.TB
	options server.Options
	server  *server.Server
}

func newNATS(t testing.TB, options server.Options) *natsServer {
	options.Host, options.JetStream, options.NoSigs, options.NoLog = "127.0.0.1", true, true, true
	options.StoreDir, options.Port = t.TempDir(), port(t)
	s := &natsServer{t: t, options: options}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *natsServer) start() {
	s.t.Helper()
	options := s.options
	var err error
	if s.server, err = server.NewServer(&options); err != nil {
		s.t.Fatal(err)
	}
	s.server.Start()
	if !s.server.ReadyForConnections(20 * time.Second) {
		s.t.Fatal("the server is not ready")
	}
}

func (s *natsServer) stop() {
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
		s.server = nil
	}
}

func (s *natsServer) url(rest string) string {
	return fmt.Sprintf("nats://127.0.0.1:%d?%s", s.options.Port, rest)
}

// stream makes a stream, and says how to get at it.
func (s *natsServer) stream(options ...nats.Option) jetstream.JetStream {
	s.t.Helper()
	conn, err := nats.Connect(fmt.Sprintf("127.0.0.1:%d", s.options.Port), append(options, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := js.CreateOrUpdateStream(s.t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}}); err != nil {
		s.t.Fatal(err)
	}
	return js
}

func publish(t testing.TB, js jetstream.JetStream, subject, body string) {
	t.Helper()
	if _, err := js.Publish(t.Context(), subject, []byte(body)); err != nil {
		t.Fatal(err)
	}
}

func pending(t testing.TB, js jetstream.JetStream) (unacknowledged int, left uint64) {
	t.Helper()
	c, err := js.Consumer(t.Context(), "ORDERS", "aleph-orders")
	if err != nil {
		t.Fatal(err)
	}
	info := c.CachedInfo()
	return info.NumAckPending, info.NumPending
}

func TestNATS(t *testing.T) {
	s := newNATS(t, server.Options{})
	js := s.stream()
	n := newNode(t, t.TempDir(), s.url("stream=ORDERS&subject=orders.eu.>&topic=orders&inflight=8"))
	eventually(t, "connected", func() bool { return n.status().State == "connected" })

	// Nobody hears the topic: the message waits.
	publish(t, js, "orders.eu.1", "first")
	publish(t, js, "orders.us.1", "not for us")
	eventually(t, "waiting", func() bool { return n.status().State == "waiting" })
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	n.behave(func(d *queue.Delivery) queue.Outcome {
		if d.Program == "slow" {
			<-release
		}
		if d.Attempt < 3 {
			return queue.Fail(errors.New("not yet"))
		}
		return queue.Acknowledge(nil)
	})
	n.subscribe(t, "slow", triggers.Topic{Topic: "orders"})
	n.subscribe(t, "fast", triggers.Topic{Topic: "orders"})
	for i := range 20 {
		publish(t, js, "orders.eu.2", fmt.Sprint("order ", i))
	}
	// The slow one has eight, the broker keeps the others.
	eventually(t, "eight in flight", func() bool {
		unacknowledged, _ := pending(t, js)
		return unacknowledged == 8 && n.status().InFlight == 8
	})
	if n.status().Acknowledged != 0 {
		t.Fatalf("%+v", n.status())
	}
	letGo()
	eventually(t, "all acknowledged", func() bool { unacknowledged, left := pending(t, js); return unacknowledged == 0 && left == 0 })
	for _, program := range []string{"slow", "fast"} {
		for i := range 20 {
			if times := n.times(program, fmt.Sprint("order ", i)); times != 1 {
				t.Errorf("order %d: %d times at %s", i, times, program)
			}
		}
		if n.times(program, "first") != 1 || n.times(program, "not for us") != 0 {
			t.Error(n.ran)
		}
	}

	// A dead letter is kept by the node, and ends for the broker.
	n.behave(func(*queue.Delivery) queue.Outcome { return queue.Reject(errors.New("never")) })
	publish(t, js, "orders.eu.3", "bad")
	eventually(t, "a dead letter", func() bool { return n.status().DeadLetters == 1 })
	if unacknowledged, left := pending(t, js); unacknowledged+int(left) != 0 {
		t.Errorf("%d not acknowledged, %d left", unacknowledged, left)
	}
	if stats, err := n.queue.Stats("fast"); err != nil || stats.DeadLetters != 1 {
		t.Errorf("%+v, %v", stats, err)
	}

	// The server goes and comes back.
	n.behave(nil)
	s.stop()
	eventually(t, "not connected", func() bool { return n.status().State == "failed" })
	s.start()
	eventually(t, "published", func() bool { _, err := js.Publish(t.Context(), "orders.eu.4", []byte("again")); return err == nil })
	eventually(t, "delivered", func() bool { return n.times("slow", "again") >= 1 && n.status().State == "connected" })
}

// TestOrder: an ordered topic has a broker's messages in the broker's order.
func TestOrder(t *testing.T) {
	s := newNATS(t, server.Options{})
	js := s.stream()
	for i := range 200 {
		publish(t, js, "orders.1", fmt.Sprint(i))
	}
	n := newNode(t, t.TempDir(), s.url("stream=ORDERS&topic=orders"))
	next := 0
	n.behave(func(d *queue.Delivery) queue.Outcome {
		if string(d.Payload) == fmt.Sprint(next) {
			next++
		}
		return queue.Acknowledge(nil)
	})
	n.subscribe(t, "p", triggers.Topic{Topic: "orders", Ordered: true})
	eventually(t, "all acknowledged", func() bool { return n.status().Acknowledged == 200 })
	if next != 200 {
		t.Errorf("%d in order", next)
	}
}

// TestNATSLogin: with a password, over TLS.
func TestNATSLogin(t *testing.T) {
	ca, config := certificate(t)
	s := newNATS(t, server.Options{Username: "me", Password: "secret", TLSConfig: config, TLS: true})
	js := s.stream(nats.UserInfo("me", "secret"), nats.RootCAs(ca))
	publish(t, js, "orders.1", "hello")
	source := fmt.Sprintf("nats+tls://me:%%s@127.0.0.1:%d?stream=ORDERS&topic=orders&ca=%s", s.options.Port, ca)
	n := newNode(t, t.TempDir(), fmt.Sprintf(source, "secret"))
	n.subscribe(t, "p", triggers.Topic{Topic: "orders"})
	eventually(t, "delivered", func() bool { return n.times("p", "hello") == 1 })
	wrong := newNode(t, t.TempDir(), fmt.Sprintf(source, "wrong"))
	eventually(t, "refused", func() bool { return wrong.status().State == "failed" })
}
