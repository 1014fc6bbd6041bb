package receive

// The shape of Alertmanager's webhook body and its way into the domain. What
// leaves Decode is safe to store and bounded in every part.

import (
	"bytes"
	"encoding/json"
	"math"
	"time"

	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"triagebot/triage"
)

// Message is the body that Alertmanager posts. It embeds template.Data by
// value: with Alertmanager's own type, which embeds a pointer, `{}` decodes to
// a message whose alerts cannot be touched.
type Message struct {
	template.Data

	Version         string `json:"version"` // always "4"
	GroupKey        string `json:"groupKey"`
	TruncatedAlerts uint64 `json:"truncatedAlerts"` // alerts that max_alerts cut off
}

// version is the one version of the body there is. Fields are added without
// changing it, so unknown ones are accepted.
const version = "4"

// Decode decodes the body of a notification that was received at the instant
// at. Every text in the result is valid UTF-8 without NUL and within MaxText;
// every alert has a status, labels, a start and a fingerprint; times are UTC;
// no two alerts share an identity. The error is one sentence for people that
// says what the body is instead.
func Decode(body []byte, at time.Time) (triage.Notification, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return triage.Notification{}, errEmpty
	}
	var msg Message
	if err := json.Unmarshal(body, &msg); err != nil {
		return triage.Notification{}, explain(body, err)
	}
	if msg.Version != version || len(msg.Alerts) == 0 {
		return triage.Notification{}, explain(body, nil)
	}
	n := triage.Notification{
		ReceivedAt:  at,
		Receiver:    text(msg.Receiver),
		GroupLabels: labelSet(msg.GroupLabels),
		ExternalURL: webURL(msg.ExternalURL),
		Truncated:   min(msg.TruncatedAlerts, math.MaxInt64), // what a BIGINT holds
		Alerts:      make([]triage.Alert, 0, len(msg.Alerts)),
	}
	seen := make(map[identity]int, len(msg.Alerts))
	for i := range msg.Alerts {
		if err := checkAlert(i, &msg.Alerts[i]); err != nil {
			return triage.Notification{}, err
		}
		alert := toAlert(&msg.Alerts[i], at)
		id := identity{alert.Fingerprint, alert.StartsAt}
		if first, again := seen[id]; again {
			// The same alert twice: resolved is the later of its states.
			if alert.Status == triage.AlertResolved {
				n.Alerts[first] = alert
			}
			continue
		}
		seen[id] = len(n.Alerts)
		n.Alerts = append(n.Alerts, alert)
	}
	return n, nil
}

// identity is what makes an alert the same alert. Its start is in UTC, so that
// == compares instants.
type identity struct {
	fingerprint string
	startsAt    time.Time
}

func toAlert(a *template.Alert, at time.Time) triage.Alert {
	alert := triage.Alert{
		Fingerprint:  fingerprint(a),
		Status:       triage.AlertStatus(a.Status),
		Labels:       labelSet(a.Labels),
		Annotations:  labelSet(a.Annotations),
		StartsAt:     instant(a.StartsAt),
		GeneratorURL: webURL(a.GeneratorURL),
	}
	if alert.Status == triage.AlertResolved {
		alert.EndsAt = instant(a.EndsAt)
		if !storable(a.EndsAt) {
			alert.EndsAt = at.UTC()
		}
	}
	return alert
}

// instant is t as the database keeps it. An alert is known by its start: one
// that were finer here than there would never be the same again.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// fingerprint is the alert's own, or the one that Alertmanager would have
// given: versions before 0.19 send none.
func fingerprint(a *template.Alert) string {
	if fp, err := model.ParseFingerprint(a.Fingerprint); err == nil {
		return fp.String()
	}
	labels := make(model.LabelSet, len(a.Labels))
	for name, value := range a.Labels {
		labels[model.LabelName(name)] = model.LabelValue(value)
	}
	return labels.Fingerprint().String()
}
