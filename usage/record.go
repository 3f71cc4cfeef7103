package usage

import (
	"encoding/hex"
	"encoding/json"
	"math/bits"
	"time"
)

// Record is one invocation.
type Record struct {
	Invocation [16]byte    // its id; 32 hexadecimal digits in JSON
	Deployment *Deployment // what ran; required, shared by its records and never changed
	Trigger    Trigger
	Attempt    uint32 // 1 is the first
	Status     uint16 // of the answer, in HTTP's numbers
	Cold       bool   // no slot held the program's memory
	ErrorClass string // the code of the error in abi's table; empty if it went well

	Queued  int64 // Unix nanoseconds: when the event came,
	Started int64 // when the guest began,
	Ended   int64 // and when it had ended

	// Durations. A negative one counts as 0.
	Init time.Duration // making the instance
	Wall time.Duration // from start to end
	CPU  time.Duration // on a CPU

	MemoryLimit   uint64 // bytes
	MemoryPeak    uint64 // bytes
	RequestBytes  uint64
	ResponseBytes uint64
	Fetches       uint64 // requests that the program sent out, those of redirects too
	OutboundBytes uint64 // of them
	InboundBytes  uint64 // of their answers
	StoreReads    uint64
	StoreWrites   uint64
	StoreBytes    uint64 // of keys and values, read and written
	LogBytes      uint64
}

// Deployment is what the records of one version of a program have in common.
type Deployment struct {
	Program string `json:"program"`  // item hash
	CodeRef string `json:"code_ref"` // item hash of the STORE with the code
	Owner   string `json:"owner"`    // address
	Node    string `json:"node"`     // id
	VCPUs   uint32 `json:"-"`
}

// Trigger is what caused an invocation.
type Trigger struct {
	Type string `json:"type"` // the kind of the event: http, schedule, …
	ID   string `json:"id"`   // which of the program's triggers; empty for http
}

// EgressBytes is what left the node for the program.
func (r *Record) EgressBytes() uint64 { return r.ResponseBytes + r.OutboundBytes }

// StoreOps is the number of operations on the program's store.
func (r *Record) StoreOps() uint64 { return r.StoreReads + r.StoreWrites }

// ComputeUnits is how many of the network's units of computing a program takes: one for each vCPU, and at least one for
// each 2 GiB of its memory, given in bytes.
func ComputeUnits(vcpus uint32, memory uint64) uint64 {
	const unit = 2048 << 20
	units := memory / unit
	if memory%unit != 0 {
		units++
	}
	return max(uint64(vcpus), units)
}

// MarshalJSON gives the names that a node's records have on the network; times are Unix nanoseconds.
func (r Record) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Invocation string `json:"invocation_id"`
		*Deployment
		Trigger       Trigger     `json:"trigger"`
		Attempt       uint32      `json:"attempt"`
		Queued        int64       `json:"queued"`
		Started       int64       `json:"started"`
		Ended         int64       `json:"ended"`
		Cold          bool        `json:"cold"`
		Init          uint64      `json:"init_ns"`
		Wall          uint64      `json:"wall_ns"`
		CPU           uint64      `json:"cpu_ns"`
		MemoryLimit   uint64      `json:"memory_limit"`
		MemoryPeak    uint64      `json:"memory_peak"`
		RequestBytes  uint64      `json:"request_bytes"`
		ResponseBytes uint64      `json:"response_bytes"`
		EgressBytes   uint64      `json:"egress_bytes"`
		Fetches       uint64      `json:"fetches"`
		OutboundBytes uint64      `json:"outbound_bytes"`
		InboundBytes  uint64      `json:"inbound_bytes"`
		StoreReads    uint64      `json:"store_reads"`
		StoreWrites   uint64      `json:"store_writes"`
		StoreBytes    uint64      `json:"store_bytes"`
		LogBytes      uint64      `json:"log_bytes"`
		Status        uint16      `json:"status"`
		ErrorClass    string      `json:"error_class"`
		GBSeconds     json.Number `json:"gb_seconds"`
		ComputeUnits  uint64      `json:"compute_units"`
	}{
		hex.EncodeToString(r.Invocation[:]), r.Deployment, r.Trigger, r.Attempt, r.Queued, r.Started, r.Ended, r.Cold,
		nanoseconds(r.Init), nanoseconds(r.Wall), nanoseconds(r.CPU), r.MemoryLimit, r.MemoryPeak, r.RequestBytes,
		r.ResponseBytes, r.EgressBytes(), r.Fetches, r.OutboundBytes, r.InboundBytes, r.StoreReads, r.StoreWrites, r.StoreBytes, r.LogBytes, r.Status, r.ErrorClass,
		r.memoryTime().gbSeconds(), ComputeUnits(r.Deployment.VCPUs, r.MemoryLimit),
	})
}

// memoryTime is the memory limit times the wall time, in bytes x nanoseconds.
func (r *Record) memoryTime() Uint128 {
	hi, lo := bits.Mul64(r.MemoryLimit, nanoseconds(r.Wall))
	return Uint128{hi, lo}
}

func nanoseconds(d time.Duration) uint64 { return uint64(max(d, 0)) }
