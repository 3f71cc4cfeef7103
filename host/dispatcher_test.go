package host

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aleph-edge/aleph-edge/abi"
)

// eager reads its event, makes three calls of the node, writes to four pages and answers with a header.
const eager = `(module
	(import "aleph_v1" "event_read" (func $read (param i32 i32 i32) (result i32)))
	(import "aleph_v1" "clock" (func $clock (param i32) (result i64)))
	(import "aleph_v1" "random" (func $random (param i32 i32)))
	(import "aleph_v1" "respond" (func $respond (param i32 i32)))
	(memory (export "memory") 2)
	(data (i32.const 0) "alv1\13\00\00\00\1a\00\00\00\0c\00\00\00content-typetext/plain\14\00\00\00\02\00\00\00ok")
	(func (export "aleph_handle") (param $n i32)
		(drop (call $read (i32.const 4096) (i32.const 0) (local.get $n)))
		(i64.store (i32.const 8192) (call $clock (i32.const 0)))
		(call $random (i32.const 12288) (i32.const 16))
		(i32.store (i32.const 16384) (i32.const 1))
		(i32.store (i32.const 20480) (i32.const 1))
		(call $respond (i32.const 0) (i32.const 48))))`

// plain answers "ok".
const plain = `(module
	(import "aleph_v1" "respond" (func $respond (param i32 i32)))
	(memory (export "memory") 1)
	(data (i32.const 0) "alv1\14\00\00\00\02\00\00\00ok")
	(func (export "aleph_handle") (param i32) (call $respond (i32.const 0) (i32.const 14))))`

// sleeping waits for a minute.
const sleeping = `(module
	(import "aleph_v1" "op_start" (func $start (param i32 i32 i32) (result i32)))
	(import "aleph_v1" "op_wait" (func $wait (param i32) (result i64)))
	(memory (export "memory") 1)
	(data (i32.const 0) "alv1\60\00\00\00\08\00\00\00\00\58\47\f8\0d\00\00\00")
	(func (export "aleph_handle") (param i32) (drop (call $wait (call $start (i32.const 1) (i32.const 0) (i32.const 20))))))`

// TestSteadyState runs events as a trigger does: in the steady state nothing is allocated.
func TestSteadyState(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector has pools forget what they keep")
	}
	w := newWorld(t, 16)
	for name, text := range map[string]string{"eager": eager, "plain": plain} {
		p := w.deploy(name, text)
		body := strings.Repeat("x", 300)
		once := func() {
			inv, failed := w.dispatcher.Begin(context.Background(), p, abi.KindHTTP, 1, nil)
			if failed != nil {
				t.Fatal(failed)
			}
			inv.Event = abi.Bytes(inv.Event, abi.TagBody, body)
			reply, failed := inv.Run()
			if failed != nil || string(reply.Body) != "ok" || reply.Status != 200 {
				t.Fatalf("%+v, %v", reply, failed)
			}
			inv.End()
		}
		for range 1000 { // until the usage's ring has its size
			once()
		}
		runtime.GC() // it empties pools: not while counting
		if n := testing.AllocsPerRun(2000, once); n != 0 {
			t.Errorf("%s: %v allocations an event", name, n)
		}
	}
	if w.dispatcher.InFlight() != 0 || w.pool.Stats().InUse != 0 {
		t.Error("something is still in flight")
	}
}

// TestInterrupt interrupts guests that wait.
func TestInterrupt(t *testing.T) {
	w := newWorld(t, 16)
	p := w.deploy("sleeping", sleeping)
	var runs sync.WaitGroup
	for range 5 {
		runs.Go(func() {
			if _, failed := w.run(p, ""); failed == nil || failed.Row != abi.ErrUnavailable {
				t.Errorf("got %v", failed)
			}
		})
	}
	for w.pool.Stats().InUse < 5 {
		time.Sleep(time.Millisecond)
	}
	w.dispatcher.Interrupt()
	runs.Wait()
	if w.dispatcher.InFlight() != 0 || w.pool.Stats().InUse != 0 || w.dispatcher.Operations() != 0 {
		t.Errorf("%d in flight, %d instances, %d operations", w.dispatcher.InFlight(), w.pool.Stats().InUse, w.dispatcher.Operations())
	}
}

// TestCaller has callers go while guests work for them, and callers whose leaving comes with the answer.
func TestCaller(t *testing.T) {
	w := newWorld(t, 16)
	leave := make(leaving, 1)
	p := w.deploy("sleeping", sleeping)
	inv, failed := w.dispatcher.Begin(context.Background(), p, abi.KindHTTP, 1, leave)
	if failed != nil {
		t.Fatal(failed)
	}
	go func() { (<-leave)() }()
	if _, failed = inv.Run(); failed == nil || failed.Row != abi.ErrClientGone {
		t.Errorf("got %v", failed)
	}
	inv.End()
	account, err := w.meter.Program("sleeping")
	if err != nil {
		t.Fatal(err)
	}
	if r := account.Records(1); len(r) != 1 || r[0].ErrorClass != "client_gone" || r[0].Status != 499 {
		t.Errorf("the record is %+v", r)
	}
}

// leaving is a caller that hands out what tells of its leaving.
type leaving chan func()

func (l leaving) Watch(gone func()) func() {
	l <- gone
	return func() {}
}

// TestReplaced runs events while the program is replaced again and again: none fails.
func TestReplaced(t *testing.T) {
	w := newWorld(t, 16)
	p := w.deploy("replaced", plain)
	stop := make(chan struct{})
	var runs sync.WaitGroup
	for range 4 {
		runs.Go(func() {
			for {
				if reply, failed := w.run(p, ""); failed != nil || reply != "ok" {
					t.Errorf("got %q, %v", reply, failed)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 20 {
		w.deploy("replaced", plain)
	}
	close(stop)
	runs.Wait()
}

// TestForgottenOperations: a guest that starts operations and cancels them does not pile them up on the node.
func TestForgottenOperations(t *testing.T) {
	w := newWorld(t, 8)
	p := w.deploy("forgetful", `(module
	 (import "aleph_v1" "respond" (func $respond (param i32 i32)))
	 (import "aleph_v1" "op_start" (func $op_start (param i32 i32 i32) (result i32)))
	 (import "aleph_v1" "op_wait" (func $op_wait (param i32) (result i64)))
	 (import "aleph_v1" "op_take" (func $op_take (param i32 i32 i32) (result i32)))
	 (import "aleph_v1" "op_cancel" (func $op_cancel (param i32)))
	 (memory (export "memory") 1) (data (i32.const 0) "alv1") (data (i32.const 16) "alv1\01\00\00\00\04\00\00\00\c8\00\00\00")
	 (func (export "aleph_handle") (param i32) (local $i i32) (local $watch i32) (local $sleep i32)
	  (loop $next
	   (local.set $watch (call $op_start (i32.const 22) (i32.const 0) (i32.const 4)))
	   (local.set $sleep (call $op_start (i32.const 1) (i32.const 0) (i32.const 4)))
	   (drop (call $op_wait (local.get $sleep)))
	   (drop (call $op_take (local.get $sleep) (i32.const 100) (i32.const 100)))
	   (call $op_cancel (local.get $watch))
	   (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2000))))
	  (call $respond (i32.const 16) (i32.const 16))))`)
	inv, failed := w.dispatcher.Begin(context.Background(), p, abi.KindHTTP, 1, nil)
	if failed != nil {
		t.Fatal(failed)
	}
	reply, failed := inv.Run()
	if failed != nil || reply.Status != 200 {
		t.Fatal(reply, failed)
	}
	if n := w.dispatcher.Operations(); n == 0 || n > abi.MaxOperations {
		t.Errorf("%d operations under way after 2,000 were cancelled", n)
	}
	inv.End()
	for deadline := time.Now().Add(10 * time.Second); w.dispatcher.Operations() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d operations are still under way", w.dispatcher.Operations())
		}
	}
}
