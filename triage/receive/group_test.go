package receive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// fakeStorage records the batches it is given. Each commit first waits for a
// token of gate, when there is one, and fails as fail says.
type fakeStorage struct {
	gate chan struct{}
	fail func(batch []Raw) error

	mu      sync.Mutex
	batches [][]string
}

func (s *fakeStorage) CommitNotifications(ctx context.Context, batch []Raw) error {
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	bodies := make([]string, len(batch))
	for i, raw := range batch {
		bodies[i] = string(raw.Body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, bodies)
	if s.fail != nil {
		return s.fail(batch)
	}
	return nil
}

func (s *fakeStorage) written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := make([]string, len(s.batches))
	for i, batch := range s.batches {
		parts[i] = strings.Join(batch, "+")
	}
	return strings.Join(parts, " ")
}

// group runs a GroupCommitter within a synctest bubble.
type group struct {
	*GroupCommitter
	t    *testing.T
	stop func() // ends Run and waits for it
}

func startGroup(t *testing.T, opts GroupOptions) *group {
	t.Helper()
	g := NewGroupCommitter(opts)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := g.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	stop := func() { cancel(); <-ended }
	t.Cleanup(stop)
	return &group{GroupCommitter: g, t: t, stop: stop}
}

// send starts an Ingest and returns where its error will be. It returns when
// the notification is in the queue.
func (g *group) send(ctx context.Context, body string) <-chan error {
	answer := make(chan error, 1)
	go func() { answer <- g.Ingest(ctx, []byte(body), receivedAt) }()
	synctest.Wait()
	return answer
}

func unanswered(t *testing.T, answers ...<-chan error) {
	t.Helper()
	synctest.Wait()
	for i, answer := range answers {
		select {
		case err := <-answer:
			t.Errorf("caller %d was answered %v too early", i, err)
		default:
		}
	}
}

func TestANotificationAloneIsWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &fakeStorage{}
		g := startGroup(t, GroupOptions{Committer: storage})
		before := time.Now()
		for _, body := range []string{"a", "b", "c"} {
			if err := g.Ingest(t.Context(), []byte(body), receivedAt); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := storage.written(), "a b c"; got != want {
			t.Errorf("written: %s, want %s", got, want)
		}
		if waited := time.Since(before); waited != 0 {
			t.Errorf("something waited for %s", waited)
		}
	})
}

func TestWhatArrivesDuringACommitSharesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &fakeStorage{gate: make(chan struct{})}
		reg := prometheus.NewRegistry()
		g := startGroup(t, GroupOptions{Committer: storage, MaxBatch: 3, Registerer: reg})
		var answers []<-chan error
		for _, body := range []string{"a", "b", "c", "d", "e"} {
			answers = append(answers, g.send(t.Context(), body))
		}
		unanswered(t, answers...)
		if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP triagebot_notifications_uncommitted Notifications that wait to be written or are being written now.
# TYPE triagebot_notifications_uncommitted gauge
triagebot_notifications_uncommitted 5
`), "triagebot_notifications_uncommitted"); err != nil {
			t.Error(err)
		}

		storage.gate <- struct{}{}
		if err := <-answers[0]; err != nil {
			t.Error(err)
		}
		unanswered(t, answers[1:]...)

		storage.gate <- struct{}{}
		for _, answer := range answers[1:4] {
			if err := <-answer; err != nil {
				t.Error(err)
			}
		}
		unanswered(t, answers[4])

		storage.gate <- struct{}{}
		if err := <-answers[4]; err != nil {
			t.Error(err)
		}
		if got, want := storage.written(), "a b+c+d e"; got != want {
			t.Errorf("written: %s, want %s, in order of arrival and 3 at most", got, want)
		}
	})
}

func TestAFullQueueRefuses(t *testing.T) {
	tests := []struct {
		name string
		opts GroupOptions
	}{
		{"by count", GroupOptions{MaxQueued: 2}},
		{"by bytes", GroupOptions{MaxQueuedBytes: 9}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage := &fakeStorage{gate: make(chan struct{})}
				opts := test.opts
				opts.Committer = storage
				g := startGroup(t, opts)
				first := g.send(t.Context(), "aaaa") // being written: still counts
				second := g.send(t.Context(), "bbbb")
				if err := <-g.send(t.Context(), "cccc"); !errors.Is(err, ErrBacklogFull) {
					t.Errorf("the third notification got %v, want ErrBacklogFull", err)
				}
				close(storage.gate)
				if err := errors.Join(<-first, <-second); err != nil {
					t.Error(err)
				}
				if err := <-g.send(t.Context(), "dddd"); err != nil {
					t.Errorf("after the queue has emptied: %v", err)
				}
			})
		})
	}
}

func TestTheStoragesBacklogBoundReachesTheSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &fakeStorage{gate: make(chan struct{}), fail: func([]Raw) error { return fmt.Errorf("20000 wait: %w", ErrBacklogFull) }}
		g := startGroup(t, GroupOptions{Committer: storage})
		answers := []<-chan error{g.send(t.Context(), "a"), g.send(t.Context(), "b"), g.send(t.Context(), "c")}
		close(storage.gate)
		for _, answer := range answers {
			if err := <-answer; !errors.Is(err, ErrBacklogFull) {
				t.Errorf("got %v, want ErrBacklogFull", err)
			}
		}
		if got, want := storage.written(), "a b+c"; got != want {
			t.Errorf("tried: %s, want %s: trying singly is no use when there is no room", got, want)
		}
	})
}

func TestOneNotificationTheStorageRefusesDoesNotTakeOthersWithIt(t *testing.T) {
	refused := errors.New("refused")
	synctest.Test(t, func(t *testing.T) {
		storage := &fakeStorage{gate: make(chan struct{}), fail: func(batch []Raw) error {
			if slices.ContainsFunc(batch, func(r Raw) bool { return string(r.Body) == "poison" }) {
				return refused
			}
			return nil
		}}
		g := startGroup(t, GroupOptions{Committer: storage})
		first := g.send(t.Context(), "first")
		a, poison, b := g.send(t.Context(), "a"), g.send(t.Context(), "poison"), g.send(t.Context(), "b")
		close(storage.gate)
		if err := errors.Join(<-first, <-a, <-b); err != nil {
			t.Errorf("a neighbour got %v", err)
		}
		if err := <-poison; !errors.Is(err, refused) {
			t.Errorf("the refused one got %v", err)
		}
	})
}

func TestFailingStorageIsNotTriedForEveryNotification(t *testing.T) {
	diskFull := errors.New("disk full")
	synctest.Test(t, func(t *testing.T) {
		storage := &fakeStorage{gate: make(chan struct{}), fail: func([]Raw) error { return diskFull }}
		g := startGroup(t, GroupOptions{Committer: storage})
		answers := []<-chan error{g.send(t.Context(), "first")}
		for i := range 50 {
			answers = append(answers, g.send(t.Context(), fmt.Sprint(i)))
		}
		close(storage.gate)
		for _, answer := range answers {
			if err := <-answer; !errors.Is(err, diskFull) {
				t.Errorf("got %v, want %v", err, diskFull)
			}
		}
		if got := len(storage.batches); got != 4 {
			t.Errorf("tried %d times, want 4: the first, the batch and two singly", got)
		}
		storage.fail = nil
		if err := <-g.send(t.Context(), "after"); err != nil {
			t.Errorf("after the storage has recovered: %v", err)
		}
	})
}

func TestAPanickingStorageFailsItsBatchOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &fakeStorage{fail: func([]Raw) error { panic("index out of range") }}
		g := startGroup(t, GroupOptions{Committer: storage})
		if err := <-g.send(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "index out of range") {
			t.Errorf("got %v, want the panic as an error", err)
		}
	})
}

func TestAStuckCommitIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &fakeStorage{gate: make(chan struct{})}
		g := startGroup(t, GroupOptions{Committer: storage, CommitTimeout: 3 * time.Second})
		before := time.Now()
		if err := <-g.send(t.Context(), "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a deadline exceeded", err)
		}
		if waited := time.Since(before); waited != 3*time.Second {
			t.Errorf("waited for %s, want 3s", waited)
		}
	})
}

func TestASenderWhoLeavesDoesNotUndoTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &fakeStorage{gate: make(chan struct{})}
		g := startGroup(t, GroupOptions{Committer: storage})
		ctx, leave := context.WithCancel(t.Context())
		gone, stays := g.send(ctx, "gone"), g.send(t.Context(), "stays")
		leave()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want canceled", err)
		}
		close(storage.gate)
		if err := <-stays; err != nil {
			t.Error(err)
		}
		if got, want := storage.written(), "gone stays"; got != want {
			t.Errorf("written: %s, want %s", got, want)
		}
		if err := g.Ingest(ctx, []byte("late"), receivedAt); !errors.Is(err, context.Canceled) {
			t.Errorf("a sender who had left before got %v, want canceled", err)
		}
	})
}

func TestShutdownWritesWhatWaitsAndRefusesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &fakeStorage{gate: make(chan struct{})}
		g := startGroup(t, GroupOptions{Committer: storage})
		a, b, c := g.send(t.Context(), "a"), g.send(t.Context(), "b"), g.send(t.Context(), "c")
		go func() {
			synctest.Wait() // until stop waits for the commit of a
			close(storage.gate)
		}()
		g.stop()
		if err := errors.Join(<-a, <-b, <-c); err != nil {
			t.Errorf("one that waited got %v", err)
		}
		if got, want := storage.written(), "a b+c"; got != want {
			t.Errorf("written: %s, want %s", got, want)
		}
		if err := g.Ingest(t.Context(), []byte("late"), receivedAt); !errors.Is(err, ErrStopped) {
			t.Errorf("one that came late got %v, want ErrStopped", err)
		}
	})
}

func TestABrokenDiskDoesNotHoldUpTheShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &fakeStorage{gate: make(chan struct{})} // never opens: every commit times out
		g := startGroup(t, GroupOptions{Committer: storage, MaxBatch: 1, CommitTimeout: time.Second})
		var answers []<-chan error
		for i := range 100 {
			answers = append(answers, g.send(t.Context(), fmt.Sprint(i)))
		}
		before := time.Now()
		g.stop()
		if took := time.Since(before); took > 2*time.Second {
			t.Errorf("stopping took %s, want two commits' time at most", took)
		}
		refused := 0
		for _, answer := range answers {
			switch err := <-answer; {
			case err == nil:
				t.Error("a notification that is not on disk was acknowledged")
			case errors.Is(err, ErrStopped):
				refused++
			}
		}
		if refused != 98 {
			t.Errorf("%d were refused, want 98", refused)
		}
	})
}

// Every notification acknowledged is written exactly once, under concurrency
// that only the race detector can tell apart.
func TestConcurrentNotificationsAreEachWrittenOnce(t *testing.T) {
	storage := &fakeStorage{}
	g := startGroup(t, GroupOptions{Committer: storage, MaxBatch: 7})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 50 {
				if err := g.Ingest(t.Context(), fmt.Appendf(nil, "%d/%d", i, j), receivedAt); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all := slices.Concat(storage.batches...)
	slices.Sort(all)
	if got := len(slices.Compact(all)); got != 16*50 || len(all) != 16*50 {
		t.Errorf("%d written, %d of them different, want %d", len(all), got, 16*50)
	}
}
