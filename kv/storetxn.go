package kv

// StoreTxn is a program's store within a GroupUpdate: what is written to it and to records is one transaction. Its methods are those
// of Store, with the transaction's own writes seen and nothing on the disk before it is committed; the data that Get returns is
// valid until the next operation. A refused write leaves the rest of the transaction to its function. Entries that expired within
// the last second may still count for the quota.
type StoreTxn struct {
	txn     *Txn
	space   space
	quota   Quota
	invalid error
}

// Store returns program's store within the transaction, which must be a GroupUpdate's: with others every operation fails with
// invalid_argument.
func (t *Txn) Store(program string, quota Quota) *StoreTxn {
	s := &StoreTxn{t, spaceOf(program), quota.withDefaults(), checkProgram(program)}
	if t.batch == nil {
		s.invalid = fail(ErrInvalidArgument, "transaction: stores are written in a GroupUpdate only")
	}
	return s
}

func (s *StoreTxn) check(key string) error {
	if s.invalid != nil {
		return s.invalid
	}
	return checkKey(key)
}

// Get is Store.Get.
func (s *StoreTxn) Get(key string) (Value, bool, error) {
	if err := s.check(key); err != nil {
		return Value{}, false, err
	}
	e, ok, err := s.txn.batch.load(s.space, key)
	if err != nil || !ok || !e.live(s.txn.batch.now) {
		return Value{}, false, err
	}
	return e.Value, true, nil
}

// Set is Store.Set. The value must stay as it is until the transaction ends.
func (s *StoreTxn) Set(key string, v Value, ttl uint64) error {
	err := s.check(key)
	if err == nil {
		err = checkValue("value", v)
	}
	if err == nil {
		err = checkTTL(ttl)
	}
	if err != nil {
		return err
	}
	s.txn.wrote(writeCost(s.space, key, len(v.Data)))
	return s.txn.batch.set(s.space, s.quota, key, v, ttl)
}

// Delete is Store.Delete.
func (s *StoreTxn) Delete(key string) (existed bool, err error) {
	if err := s.check(key); err != nil {
		return false, err
	}
	s.txn.wrote(writeCost(s.space, key, 0))
	return s.txn.batch.delete(s.space, key)
}

// Increment is Store.Increment.
func (s *StoreTxn) Increment(key string, delta int64) (int64, error) {
	if err := s.check(key); err != nil {
		return 0, err
	}
	s.txn.wrote(writeCost(s.space, key, 8))
	return s.txn.batch.increment(s.space, s.quota, key, delta)
}
