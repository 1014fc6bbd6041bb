package promapi

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
)

// slowAPI answers an instant query when told to, or when it is cancelled.
type slowAPI struct {
	promv1.API
	asked    chan string      // the expression, once asked
	answers  chan model.Value // one is taken per query
	canceled chan error       // why a query ended unanswered
}

func (a *slowAPI) Query(ctx context.Context, expr string, _ time.Time, _ ...promv1.Option) (model.Value, promv1.Warnings, promv1.Infos, error) {
	a.asked <- expr
	select {
	case v := <-a.answers:
		return v, nil, nil, nil
	case <-ctx.Done():
		a.canceled <- ctx.Err()
		return nil, nil, nil, ctx.Err()
	}
}

type outcome struct {
	result *Result
	err    error
}

// slow makes a client of a slowAPI; it must run within a synctest bubble.
func slow(t *testing.T, o Options) (*Client, *slowAPI) {
	o.URL = "http://prometheus.invalid"
	c := newClient(t, o)
	a := &slowAPI{asked: make(chan string, 100), answers: make(chan model.Value), canceled: make(chan error, 100)}
	c.api = a
	return c, a
}

func ask(ctx context.Context, c *Client, expr string) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		result, err := c.Query(ctx, expr, at)
		out <- outcome{result, err}
	}()
	synctest.Wait()
	return out
}

var one = &model.Scalar{Value: 1}

func TestIdenticalQueriesInFlightAreSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := slow(t, Options{})
		var outs []<-chan outcome
		for range 10 {
			outs = append(outs, ask(t.Context(), c, "x"))
		}
		if n := len(a.asked); n != 1 {
			t.Errorf("sent %d times", n)
		}
		a.answers <- one
		var first *Result
		for _, out := range outs {
			o := <-out
			if o.err != nil || first != nil && o.result != first {
				t.Errorf("%v, %v", o.result, o.err)
			}
			first = o.result
		}
		if n := testutil.ToFloat64(c.metrics.shared); n != 9 {
			t.Errorf("counted %v shared", n)
		}
		// What is answered is not in flight: the next one is sent.
		again := ask(t.Context(), c, "x")
		a.answers <- one
		if o := <-again; o.err != nil || len(a.asked) != 2 {
			t.Errorf("%v, sent %d times", o.err, len(a.asked))
		}
	})
}

func TestAnotherExpressionOrInstantIsAnotherQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := slow(t, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		outs := []<-chan outcome{ask(ctx, c, "x"), ask(ctx, c, "y")}
		later := make(chan outcome, 1)
		go func() {
			result, err := c.Query(ctx, "x", at.Add(time.Millisecond))
			later <- outcome{result, err}
		}()
		synctest.Wait()
		if n := len(a.asked); n != 3 {
			t.Errorf("sent %d", n)
		}
		cancel()
		for _, out := range append(outs, later) {
			<-out
		}
	})
}

func TestOneWaiterGivingUpLeavesTheQueryToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := slow(t, Options{})
		ctx, giveUp := context.WithCancel(t.Context())
		first, second := ask(ctx, c, "x"), ask(t.Context(), c, "x")
		giveUp() // the one whose call sent it
		if o := <-first; !errors.Is(o.err, context.Canceled) {
			t.Errorf("the one that gave up got %v", o.err)
		}
		synctest.Wait()
		if len(a.canceled) != 0 {
			t.Fatal("the query was cancelled")
		}
		a.answers <- one
		if o := <-second; o.err != nil || o.result.Series[0].Points[0].V != 1 {
			t.Errorf("the other got %v, %v", o.result, o.err)
		}
	})
}

func TestTheLastWaiterToLeaveCancelsTheQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := slow(t, Options{})
		ctx, giveUp := context.WithCancel(t.Context())
		outs := []<-chan outcome{ask(ctx, c, "x"), ask(ctx, c, "x")}
		giveUp()
		for _, out := range outs {
			<-out
		}
		if err := <-a.canceled; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		// Who asks now is not handed the cancelled one.
		again := ask(t.Context(), c, "x")
		a.answers <- one
		if o := <-again; o.err != nil {
			t.Error(o.err)
		}
	})
}

func TestNoMoreThanMaxConcurrentAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := slow(t, Options{MaxConcurrent: 2})
		var outs []<-chan outcome
		for i := range 4 {
			outs = append(outs, ask(t.Context(), c, fmt.Sprint(i)))
		}
		ctx, giveUp := context.WithCancel(t.Context())
		impatient := ask(ctx, c, "impatient")
		if n := len(a.asked); n != 2 || testutil.ToFloat64(c.metrics.inFlight) != 2 {
			t.Errorf("sent %d", n)
		}
		giveUp()
		if o := <-impatient; !errors.Is(o.err, context.Canceled) {
			t.Error(o.err)
		}
		for range 4 {
			a.answers <- one
		}
		for _, out := range outs {
			if o := <-out; o.err != nil {
				t.Error(o.err)
			}
		}
		for range len(a.asked) {
			if expr := <-a.asked; expr == "impatient" {
				t.Error("sent for nobody")
			}
		}
	})
}

func TestTheTimeoutDoesNotCountTheWaitForATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := slow(t, Options{MaxConcurrent: 1, Timeout: 10 * time.Second})
		started := time.Now()
		first, second := ask(t.Context(), c, "first"), ask(t.Context(), c, "second")
		for _, out := range []<-chan outcome{first, second} {
			var failure *Error
			if o := <-out; !errors.As(o.err, &failure) || failure.Reason != ReasonTimeout || failure.Transient {
				t.Errorf("%v", o.err)
			}
		}
		if took := time.Since(started); took != 20*time.Second {
			t.Errorf("took %s", took)
		}
		if err := <-a.canceled; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestCloseEndsWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, a := slow(t, Options{})
		out := ask(t.Context(), c, "x")
		c.Close()
		if len(a.canceled) != 1 {
			t.Error("Close returned before the query ended")
		}
		var failure *Error
		if o := <-out; !errors.As(o.err, &failure) || failure.Reason != ReasonCanceled {
			t.Error(o.err)
		}
		if _, err := c.Query(t.Context(), "x", at); !errors.As(err, &failure) || failure.Transient {
			t.Errorf("after Close: %v", err)
		}
	})
}
