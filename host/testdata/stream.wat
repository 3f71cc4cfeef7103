;; Reads its event's body and writes each part, of 64 bytes at most, as a part of the reply.
(module
  (import "aleph_v1" "op_start" (func $start (param i32 i32 i32) (result i32)))
  (import "aleph_v1" "op_wait" (func $wait (param i32) (result i64)))
  (import "aleph_v1" "op_take" (func $take (param i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "alv1\73\00\00\00\04\00\00\00\c9\00\00\00")
  (data (i32.const 32) "alv1\54\00\00\00\04\00\00\00\40\00\00\00")
  (func (export "aleph_body"))
  (func $do (param $op i32) (param $at i32) (param $n i32) (result i32)
    (local $t i32)
    (local.set $t (call $start (local.get $op) (local.get $at) (local.get $n)))
    (drop (call $wait (local.get $t)))
    (call $take (local.get $t) (i32.const 1024) (i32.const 100000)))
  (func (export "aleph_handle") (param i32)
    (local $n i32) (local $end i32)
    (drop (call $do (i32.const 7) (i32.const 0) (i32.const 16)))
    (loop $more
      (local.set $n (call $do (i32.const 6) (i32.const 32) (i32.const 16)))
      (if (i32.load (i32.const 1036)) (then (return))) ;; the read failed
      (local.set $end (i32.ne (local.get $n) (i32.add (i32.load (i32.const 1044)) (i32.const 24))))
      (i32.store (i32.const 1036) (i32.const 0x31766c61)) ;; alv1, in front of the body and the end
      (drop (call $do (i32.const 8) (i32.const 1036) (i32.sub (local.get $n) (i32.const 12))))
      (br_if $more (i32.eqz (local.get $end))))))
