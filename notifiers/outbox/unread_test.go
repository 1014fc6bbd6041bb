// Files that cannot be read: whom they hold up, and for how long.

package outbox

import (
	"context"
	"testing"
	"time"

	"triagebot/notifiers"
	"triagebot/triage"
)

func isFile(d *triage.Delivery) bool { return d.Kind == triage.DeliveryFile }

// unreadable is a script in which no file can be read; tries counts.
func unreadable(tries *int) func(context.Context, channelCall) error {
	return func(_ context.Context, c channelCall) error {
		if !isFile(c.Delivery) || c.ByLink {
			return nil
		}
		*tries++
		return fails(notifiers.Unreadable)
	}
}

func TestAFileThatCannotBeReadHoldsUpNobodyAndEndsAsItsLink(t *testing.T) {
	eachDatabase(t, func(w *world) {
		tries := 0
		w.channel.script(unreadable(&tries))
		stop := w.work("a")
		incident := w.open("ops", triage.PriorityParent)
		w.file(incident, "chart.png")
		elapse(20 * time.Second) // tried several times by now
		expect(w.t, "state while it cannot be read", w.states(incident)["chart.png"], triage.DeliveryPending)

		other := w.open("ops", triage.PriorityCriticalParent)
		w.reply(incident, "p95", triage.PriorityFinding)
		elapse(time.Second)
		expect(w.t, "messages while it cannot be read", w.channel.keys(),
			[]string{keyOf(incident, "parent"), keyOf(other, "parent"), keyOf(incident, "p95")})

		stop() // what was tried is known to the next worker
		defer w.work("b")()
		elapse(3 * time.Minute)
		expect(w.t, "tries", tries, readsMade)
		file := w.deliveries(incident)["chart.png"]
		expect(w.t, "state", file.State, triage.DeliverySent)
		expect(w.t, "times it was not read", file.Unread, readsMade)
	})
}

func TestAFileThatCanBeReadAgainIsShown(t *testing.T) {
	eachDatabase(t, func(w *world) {
		byLink := false
		refuse := failing(readsMade-1, fails(notifiers.Unreadable), isFile)
		w.channel.script(func(ctx context.Context, c channelCall) error {
			byLink = byLink || c.ByLink
			return refuse(ctx, c)
		})
		defer w.work("a")()
		incident := w.open("ops", triage.PriorityParent)
		w.file(incident, "chart.png")
		elapse(3 * time.Minute)
		expect(w.t, "state", w.states(incident)["chart.png"], triage.DeliverySent)
		expect(w.t, "told of by its link", byLink, false)
	})
}

// A notifier that does not do as it is told must not be asked for ever.
func TestAFileThatIsReadThoughOnlyItsLinkIsWantedIsGivenUp(t *testing.T) {
	eachDatabase(t, func(w *world) {
		w.channel.script(func(_ context.Context, c channelCall) error {
			if isFile(c.Delivery) {
				return fails(notifiers.Unreadable)
			}
			return nil
		})
		defer w.work("a")()
		incident := w.open("ops", triage.PriorityParent)
		w.file(incident, "chart.png")
		elapse(3 * time.Minute)
		expect(w.t, "state", w.states(incident)["chart.png"], triage.DeliveryParked)
		expect(w.t, "calls", w.channel.calls(), 1+readsMade+1)
	})
}
