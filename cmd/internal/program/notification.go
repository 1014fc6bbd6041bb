// Notifications as Alertmanager posts them.

package program

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"triagebot/triage"
	"triagebot/triage/receive"
)

// Firing is an alert of those labels that fires from now on.
func Firing(labels triage.Labels) triage.Alert {
	set := model.LabelSet{}
	for name, value := range labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	return triage.Alert{
		Status: triage.AlertFiring, Fingerprint: set.Fingerprint().String(), Labels: labels,
		StartsAt:     time.Now().UTC().Truncate(time.Millisecond),
		Annotations:  triage.Labels{"summary": labels["alertname"] + " is bad"},
		GeneratorURL: "http://prometheus.example/graph?g0.expr=up&g0.tab=1",
	}
}

// Notification is one of a group by an Alertmanager that calls itself by that
// URL, in JSON. There must be an alert.
func Notification(tb testing.TB, externalURL string, group triage.Labels, alerts ...triage.Alert) []byte {
	tb.Helper()
	data, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": "{}:" + group.String(), "truncatedAlerts": 0, "receiver": `triage\.bot`,
		"status": alerts[0].Status, "alerts": alerts, "groupLabels": group,
		"commonLabels": group, "commonAnnotations": alerts[0].Annotations, "externalURL": externalURL,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// Post sends a notification to the program at the address, and says whether a
// 2xx answered.
func Post(ctx context.Context, address string, notification []byte) (accepted bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+receive.Path, bytes.NewReader(notification))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	_ = resp.Body.Close()
	return resp.StatusCode/100 == 2
}
