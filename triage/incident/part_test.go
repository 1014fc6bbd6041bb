package incident

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/store"
)

// pending is a notification of firing alerts: so many of each alertname.
func pending(t *testing.T, counts ...int) store.PendingNotification {
	t.Helper()
	var alerts []map[string]any
	for i, n := range counts {
		for k := range n {
			alerts = append(alerts, map[string]any{
				"status": "firing", "labels": map[string]string{"alertname": fmt.Sprint("N", i), "pod": fmt.Sprint(k)}, "startsAt": at(0),
			})
		}
	}
	body, err := json.Marshal(map[string]any{"version": "4", "receiver": "r", "status": "firing", "alerts": alerts, "groupLabels": map[string]string{}})
	if err != nil {
		t.Fatal(err)
	}
	return store.PendingNotification{ID: 1, Body: body, ReceivedAt: at(1)}
}

func TestEachTransactionFoldsABoundedPartAndNoAlertIsLeftOutOrFoldedTwice(t *testing.T) {
	many := make([]int, 500)
	for i := range many {
		many[i] = 1
	}
	for _, tc := range []struct {
		name   string
		counts []int
		parts  [][]int // alerts of each incident, by transaction
	}{
		{"an ordinary one", []int{2, 3}, [][]int{{2, 3}}},
		{"as much as fits", []int{partAlerts}, [][]int{{partAlerts}}},
		{"more than fits", []int{partAlerts + 5, 7}, [][]int{{partAlerts}, {5, 7}}},
		{"what fits is not split", []int{3000, 2000, 1}, [][]int{{3000}, {2000, 1}}},
		{"what never fits takes what room there is", []int{1000, 2 * batchWork}, [][]int{{1000, 2960}, {partAlerts}, {1060}}},
		{"many incidents", many, [][]int{many[:190], many[:190], many[:120]}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, err := decodePending(pending(t, tc.counts...))
			if err != nil {
				t.Fatal(err)
			}
			folded := 0
			var got [][]int
			seen := map[string]bool{}
			for folded < len(d.note.Alerts) && len(got) < 10 {
				parts, after := d.next(folded, batchWork)
				var sizes []int
				for _, g := range parts {
					sizes = append(sizes, len(g.alerts))
					for _, a := range g.alerts {
						seen[g.key+a.Fingerprint] = true
					}
				}
				got, folded = append(got, sizes), after
			}
			if diff := cmp.Diff(tc.parts, got); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
			if len(seen) != len(d.note.Alerts) || folded != len(seen) {
				t.Errorf("%d alerts were folded, %d counted, %d came", len(seen), folded, len(d.note.Alerts))
			}
			if parts, _ := d.next(0, incidentWork); len(parts) != 0 {
				t.Errorf("%d parts where there is no room", len(parts))
			}
		})
	}
}

func TestOfWhatIsFoldedInPartsTheWorstThatFiresComesFirst(t *testing.T) {
	p := pending(t, batchWork)
	var body map[string]any
	if err := json.Unmarshal(p.Body, &body); err != nil {
		t.Fatal(err)
	}
	alerts := body["alerts"].([]any)
	for i, a := range alerts {
		a := a.(map[string]any)
		if i < batchWork-2 {
			a["status"], a["endsAt"] = "resolved", at(0.5).Format(time.RFC3339)
		}
		if i == batchWork-1 {
			a["labels"].(map[string]any)["severity"] = "critical"
		}
	}
	var err error
	if p.Body, err = json.Marshal(body); err != nil {
		t.Fatal(err)
	}
	d, err := decodePending(p)
	if err != nil {
		t.Fatal(err)
	}
	first := d.groups[0].alerts[:3]
	got := []string{first[0].Labels["severity"], string(first[1].Status), string(first[2].Status)}
	if diff := cmp.Diff([]string{"critical", string(triage.AlertFiring), string(triage.AlertResolved)}, got); diff != "" {
		t.Errorf("the first three (-want +got):\n%s", diff)
	}
}
