package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/aleph-edge/aleph-edge/queue"
	"github.com/aleph-edge/aleph-edge/triggers"
)

// certificate is one of 127.0.0.1 that signs itself: its file, and a server's configuration. The key is beside it, in key.pem.
func certificate(t testing.TB) (ca string, config *tls.Config) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca = filepath.Join(dir, "ca.pem")
	for file, block := range map[string]*pem.Block{ca: {Type: "CERTIFICATE", Bytes: signed}, filepath.Join(dir, "key.pem"): {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return ca, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{signed}, PrivateKey: private}}}
}

func (l *link) roots(t testing.TB) *x509.CertPool {
	t.Helper()
	config, err := l.tls()
	if err != nil {
		t.Fatal(err)
	}
	return config.RootCAs
}

// publisher is a client of mosquitto.
func (m *mosquitto) publisher(options *mqtt.ClientOptions) mqtt.Client {
	m.t.Helper()
	c := mqtt.NewClient(options.SetClientID("publisher").SetAutoReconnect(false))
	if token := c.Connect(); !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		m.t.Fatal("connect the publisher: ", token.Error())
	}
	m.t.Cleanup(func() { c.Disconnect(100) })
	return c
}

func (m *mosquitto) plain() *mqtt.ClientOptions {
	return mqtt.NewClientOptions().AddBroker("tcp://" + m.address)
}

func send(t testing.TB, c mqtt.Client, topic, body string) {
	t.Helper()
	if token := c.Publish(topic, 1, false, body); !token.WaitTimeout(20*time.Second) || token.Error() != nil {
		t.Fatal("publish: ", token.Error())
	}
}

func TestMQTT(t *testing.T) {
	m := newMosquitto(t, "allow_anonymous true")
	dir, source := t.TempDir(), "mqtt://"+m.address+"/orders/#?topic=orders"
	n := newNode(t, dir, source)
	n.subscribe(t, "p", triggers.Topic{Topic: "orders"})
	n.subscribe(t, "q", triggers.Topic{Topic: "orders"})
	eventually(t, "connected", func() bool { return n.status().State == "connected" })
	c := m.publisher(m.plain())

	// More than mosquitto sends without an acknowledgement, which is 20.
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	n.behave(func(d *queue.Delivery) queue.Outcome {
		<-release
		if d.Attempt < 2 {
			return queue.Fail(errors.New("not yet"))
		}
		return queue.Acknowledge(nil)
	})
	for i := range 50 {
		send(t, c, "orders/1", fmt.Sprint("order ", i))
	}
	send(t, c, "other/1", "not for us")
	eventually(t, "twenty in flight", func() bool { return n.status().InFlight == 20 })
	if n.status().Acknowledged != 0 {
		t.Fatalf("%+v", n.status())
	}

	// The broker goes and comes back: what was in flight comes again, and is known.
	m.stop()
	eventually(t, "not connected", func() bool { return n.status().State == "failed" })
	m.start()
	eventually(t, "connected again", func() bool { return n.status().State == "connected" && n.status().InFlight == 20 })
	letGo()
	eventually(t, "all acknowledged", func() bool { return n.status().Acknowledged == 50 })
	for _, program := range []string{"p", "q"} {
		for i := range 50 {
			if times := n.times(program, fmt.Sprint("order ", i)); times != 1 {
				t.Errorf("order %d: %d times at %s", i, times, program)
			}
		}
	}

	// The node goes and comes back: the broker kept what came meanwhile.
	n.close(t)
	c = m.publisher(m.plain())
	send(t, c, "orders/2", "meanwhile")
	n = newNode(t, dir, source)
	n.subscribe(t, "p", triggers.Topic{Topic: "orders"})
	eventually(t, "delivered", func() bool { return n.times("p", "meanwhile") == 1 })
	n.behave(func(*queue.Delivery) queue.Outcome { return queue.Reject(errors.New("never")) })
	send(t, c, "orders/2", "bad")
	eventually(t, "a dead letter", func() bool { return n.status().DeadLetters == 1 })
}

// TestMQTTMore: messages beyond those that may be in flight come with another connection.
func TestMQTTMore(t *testing.T) {
	m := newMosquitto(t, "allow_anonymous true\nmax_inflight_messages 0")
	n := newNode(t, t.TempDir(), "mqtt://"+m.address+"/orders/+?topic=orders&inflight=4")
	n.subscribe(t, "p", triggers.Topic{Topic: "orders"})
	eventually(t, "connected", func() bool { return n.status().State == "connected" })
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	n.behave(func(*queue.Delivery) queue.Outcome { <-release; return queue.Acknowledge(nil) })
	c := m.publisher(m.plain())
	for i := range 10 {
		send(t, c, "orders/1", fmt.Sprint("order ", i))
	}
	eventually(t, "four in flight", func() bool { return n.status().InFlight == 4 })
	letGo()
	eventually(t, "all", func() bool {
		for i := range 10 {
			if n.times("p", fmt.Sprint("order ", i)) == 0 {
				return false
			}
		}
		return true
	})
}

// TestMQTTLogin: with a password, over TLS.
func TestMQTTLogin(t *testing.T) {
	ca, _ := certificate(t)
	passwords, salt := filepath.Join(t.TempDir(), "passwords"), []byte("salt of twelve")[:12]
	hashed, err := pbkdf2.Key(sha512.New, "secret", salt, 101, 64)
	if err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf("me:$7$101$%s$%s\n", base64.StdEncoding.EncodeToString(salt), base64.StdEncoding.EncodeToString(hashed)) // as mosquitto_passwd writes it
	if err := os.WriteFile(passwords, []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	m := newMosquitto(t, fmt.Sprintf("certfile %s\nkeyfile %s\npassword_file %s", ca, filepath.Join(filepath.Dir(ca), "key.pem"), passwords))
	wrong := newNode(t, t.TempDir(), "mqtts://me:wrong@"+m.address+"/orders?topic=orders&ca="+ca)
	eventually(t, "refused", func() bool { return wrong.status().State == "failed" })
	n := newNode(t, t.TempDir(), "mqtts://me:secret@"+m.address+"/orders?topic=orders&ca="+ca)
	n.subscribe(t, "p", triggers.Topic{Topic: "orders"})
	eventually(t, "connected", func() bool { return n.status().State == "connected" })
	c := m.publisher(mqtt.NewClientOptions().AddBroker("ssl://" + m.address).SetUsername("me").SetPassword("secret").
		SetTLSConfig(&tls.Config{RootCAs: n.trigger.links[0].roots(t)}))
	send(t, c, "orders", "hello")
	eventually(t, "delivered", func() bool { return n.times("p", "hello") == 1 })
}
