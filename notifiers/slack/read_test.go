package slack

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// story is reads from a store under a clock of the test's own.
type story struct {
	t *testing.T
	*reads
}

// took reads, and says how long that took.
func (s story) took(read func(context.Context) (content, error)) (time.Duration, error) {
	s.t.Helper()
	began := time.Now()
	_, err := s.do(s.t.Context(), read)
	return time.Since(began), err
}

// answering is a store that answers after a while, and heeds its context.
func answering(after time.Duration) func(context.Context) (content, error) {
	return func(ctx context.Context) (content, error) {
		select {
		case <-time.After(after):
			return content{size: 1}, nil
		case <-ctx.Done():
			return content{}, ctx.Err()
		}
	}
}

func TestAStoreThatHangsIsWaitedForOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := story{t, newReads()}
		back := make(chan struct{})
		var started atomic.Int64
		hangs := func(context.Context) (content, error) { // as a folder on a network does: no context ends it
			started.Add(1)
			<-back
			return content{}, nil
		}
		if took, err := s.took(hangs); took != readTimeout || err == nil {
			t.Errorf("the first read took %s (%v), want %s and an error", took, err, readTimeout)
		}
		waited := time.Duration(0)
		for range 40 {
			took, err := s.took(hangs)
			if err == nil {
				t.Fatal("nothing was read, and no error says so")
			}
			waited += took
		}
		if most := 40*shortRead + readTimeout; waited > most {
			t.Errorf("40 more reads took %s, want %s at most", waited, most)
		}
		if n := started.Load(); n != maxReads {
			t.Errorf("%d reads are under way, want no more than %d", n, maxReads)
		}
		close(back)
		synctest.Wait()
		if took, err := s.took(answering(shortRead / 2)); err != nil {
			t.Errorf("a store that is back is not read from: %v after %s", err, took)
		}
		if took, err := s.took(answering(4 * time.Second)); err != nil {
			t.Errorf("it has no more than %s once it answers again: %v", took, err)
		}
	})
}

// While it is taken to hang, one that needs more than the short time is found
// to work all the same.
func TestAStoreThatIsOnlySlowIsFoundToWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := story{t, newReads()}
		if _, err := s.took(answering(time.Minute)); err == nil {
			t.Fatal("a minute was waited for it")
		}
		if took, err := s.took(answering(2 * time.Second)); err == nil {
			t.Errorf("right after that it was waited for during %s", took)
		}
		<-time.After(probeEvery)
		for range 2 {
			if took, err := s.took(answering(2 * time.Second)); err != nil {
				t.Errorf("%v after %s", err, took)
			}
		}
	})
}

func TestAnErrorOfTheStoreAndAStopAreNoHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := story{t, newReads()}
		if _, err := s.took(func(context.Context) (content, error) { panic("a defect") }); err == nil {
			t.Error("a panic passes for a file")
		}
		down := errors.New("the bucket is down")
		if _, err := s.took(func(context.Context) (content, error) { return content{}, down }); !errors.Is(err, down) {
			t.Errorf("the error is %v, want the store's own", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		if _, err := s.do(ctx, answering(time.Minute)); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v, want that it was stopped", err)
		}
		if took, err := s.took(answering(4 * time.Second)); err != nil {
			t.Errorf("the next read was given %s: %v", took, err)
		}
	})
}
