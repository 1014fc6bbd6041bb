// Notifications, posted as Alertmanager posts them: again and again until a
// 2xx answers.

package crashtest

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
)

// firing is an alert that fires now.
func firing(name string, labels triage.Labels) triage.Alert {
	a := triage.Alert{
		Status: triage.AlertFiring, Labels: triage.Labels{"alertname": name}, StartsAt: time.Now().UTC().Truncate(time.Millisecond),
		Annotations: triage.Labels{"summary": name + " is bad"}, GeneratorURL: "http://prometheus.example/graph?g0.expr=up",
	}
	set := model.LabelSet{"alertname": model.LabelValue(name)}
	for label, value := range labels {
		a.Labels[label] = value
		set[model.LabelName(label)] = model.LabelValue(value)
	}
	a.Fingerprint = set.Fingerprint().String()
	return a
}

// resolved is the same alert, over.
func resolved(a triage.Alert) triage.Alert {
	a.Status, a.EndsAt = triage.AlertResolved, time.Now().UTC().Truncate(time.Millisecond)
	return a
}

// body is the notification of one group, in Alertmanager's JSON.
func body(t *testing.T, externalURL string, group triage.Labels, alerts ...triage.Alert) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": "{}:" + group.String(), "truncatedAlerts": 0, "receiver": `triage\.bot`,
		"status": alerts[0].Status, "alerts": alerts, "groupLabels": group,
		"commonLabels": triage.Labels{}, "commonAnnotations": triage.Labels{}, "externalURL": externalURL,
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// retryEvery is quicker than Alertmanager's, to see the restart when it is.
const retryEvery = 10 * time.Millisecond

// post sends a notification to the addresses in turn until one answers 2xx, or
// ctx ends. It says whether it was accepted.
func post(ctx context.Context, body []byte, addresses ...string) (accepted bool) {
	again := time.NewTicker(retryEvery)
	defer again.Stop()
	for n := 0; ; n++ {
		if postOnce(ctx, body, addresses[n%len(addresses)]) {
			return true
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return false
		}
	}
}

func postOnce(ctx context.Context, body []byte, address string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/api/v1/alerts", bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode/100 == 2
}
