package receive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"triagebot/triage"
)

var receivedAt = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)

func testBody(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestDecodeKeepsWhatAlertmanagerSent(t *testing.T) {
	got, err := Decode(testBody(t, "v0.34-firing.json"), receivedAt)
	if err != nil {
		t.Fatal(err)
	}
	want := triage.Notification{
		ReceivedAt:  receivedAt,
		Receiver:    `triage\.bot`,
		GroupLabels: triage.Labels{"alertname": "CodexLatencySLOBreach"},
		ExternalURL: "http://alertmanager-0:9093",
		Alerts: []triage.Alert{{
			Fingerprint: "5ef77f1f8a3ecfac",
			Status:      triage.AlertFiring,
			Labels: triage.Labels{
				"alertname": "CodexLatencySLOBreach", "instance": "app-1:8080", "job": "codex",
				"route": "/v1/chat/completions", "severity": "critical",
			},
			Annotations: triage.Labels{
				"summary":     "p95 latency 412 ms on /v1/chat/completions",
				"description": "p95 has been over its objective for 5 minutes.",
			},
			StartsAt:     time.Date(2026, 3, 1, 12, 0, 3, 512e6, time.UTC),
			GeneratorURL: "http://prometheus:9090/graph?g0.expr=histogram_quantile%280.95%2C+sum+by+%28le%29+%28rate%28codex_http_latency_ms_bucket%5B5m%5D%29%29%29+%3E+300&g0.tab=1",
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeUsesEachAlertsOwnStatus(t *testing.T) {
	got, err := Decode(testBody(t, "v0.25-mixed.json"), receivedAt)
	if err != nil {
		t.Fatal(err)
	}
	firing, resolved := got.Alerts[0], got.Alerts[1]
	if firing.Status != triage.AlertFiring || !firing.EndsAt.IsZero() {
		t.Errorf("the firing alert has status %s and ends at %s", firing.Status, firing.EndsAt)
	}
	if want := time.Date(2026, 3, 1, 12, 9, 3, 512e6, time.UTC); resolved.Status != triage.AlertResolved || resolved.EndsAt != want {
		t.Errorf("the resolved alert has status %s and ends at %s, want %s", resolved.Status, resolved.EndsAt, want)
	}
	if want := time.Date(2026, 3, 1, 12, 0, 3, 512e6, time.UTC); resolved.StartsAt != want {
		t.Errorf("a start with an offset became %s, want %s in UTC", resolved.StartsAt, want)
	}
}

func TestDecodeTellsOfTruncation(t *testing.T) {
	got, err := Decode(testBody(t, "v0.34-truncated.json"), receivedAt)
	if err != nil {
		t.Fatal(err)
	}
	if got.Truncated != 1 {
		t.Errorf("truncated is %d, want 1", got.Truncated)
	}
}

func TestDecodeComputesTheFingerprintOldVersionsDoNotSend(t *testing.T) {
	got, err := Decode(testBody(t, "v0.15-no-fingerprint.json"), receivedAt)
	if err != nil {
		t.Fatal(err)
	}
	want := model.LabelSet{"alertname": "NodeDown", "instance": "n1"}.Fingerprint().String()
	if got.Alerts[0].Fingerprint != want {
		t.Errorf("fingerprint is %s, want %s", got.Alerts[0].Fingerprint, want)
	}
}

func TestDecodeFoldsAnAlertThatStandsTwice(t *testing.T) {
	alert := template.Alert{
		Status: "firing", Labels: template.KV{"alertname": "A"}, Fingerprint: "00000000000000aa",
		StartsAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
	resolved := alert
	resolved.Status, resolved.EndsAt = "resolved", alert.StartsAt.Add(time.Minute)
	resolved.StartsAt = alert.StartsAt.In(time.FixedZone("", 3600)) // the same instant
	nextIncident := alert
	nextIncident.StartsAt = alert.StartsAt.Add(time.Hour)

	got, err := Decode(encode(t, alert, alert, resolved, alert, nextIncident), receivedAt)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Alerts) != 2 {
		t.Fatalf("%d alerts are left, want 2: %v", len(got.Alerts), got.Alerts)
	}
	if got.Alerts[0].Status != triage.AlertResolved {
		t.Errorf("the folded alert is %s, want resolved, which is its last state", got.Alerts[0].Status)
	}
}

// Prometheus sends whole milliseconds, others nanoseconds.
func TestDecodeKeepsNoMoreOfAnInstantThanTheDatabase(t *testing.T) {
	starts := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
	got, err := Decode(encode(t, template.Alert{
		Status: "resolved", Labels: template.KV{"alertname": "A"}, StartsAt: starts, EndsAt: starts.Add(time.Second),
	}), receivedAt)
	if err != nil {
		t.Fatal(err)
	}
	want := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	if a := got.Alerts[0]; !a.StartsAt.Equal(want) || !a.EndsAt.Equal(want.Add(time.Second)) {
		t.Errorf("from %s to %s", a.StartsAt, a.EndsAt)
	}
}

func TestDecodeFillsInAMissingEnd(t *testing.T) {
	got, err := Decode(encode(t, template.Alert{
		Status: "resolved", Labels: template.KV{"alertname": "A"}, StartsAt: receivedAt.Add(-time.Hour),
	}), receivedAt)
	if err != nil {
		t.Fatal(err)
	}
	if got.Alerts[0].EndsAt != receivedAt {
		t.Errorf("a resolved alert without an end ends at %s, want when it was received, %s", got.Alerts[0].EndsAt, receivedAt)
	}
}

func TestDecodeSaysWhatABodyIsInstead(t *testing.T) {
	const alert = `{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-03-01T12:00:00Z"}`
	tests := []struct{ name, body, want string }{
		{"empty", ``, `the body is empty; this URL takes the notifications of Alertmanager's webhook_configs`},
		{"blank", " \n\t", `the body is empty; this URL takes the notifications of Alertmanager's webhook_configs`},
		{"a form", `payload=x`, `the body is not JSON: invalid character 'p' looking for beginning of value at byte 1`},
		{"cut off", `{"version":"4","alerts":[`, `the body is not JSON: unexpected end of JSON input at byte 25`},
		{"two bodies", `{"version":"4"}{"version":"4"}`, `the body is not JSON: invalid character '{' after top-level value at byte 16`},
		{"null", `null`, `the body is not a JSON object with version and alerts, as Alertmanager's webhook sends it`},
		{"a number", `42`, `the body is not a JSON object with version and alerts, as Alertmanager's webhook sends it`},
		{"a text", `"alert"`, `the body is not a JSON object with version and alerts, as Alertmanager's webhook sends it`},
		{"Prometheus's list", `[` + alert + `]`, `the body is a JSON list, as Prometheus sends it to Alertmanager; point Prometheus at Alertmanager, and Alertmanager's webhook_configs here`},
		{"an empty object", `{}`, `the body is an empty JSON object; Alertmanager's webhook sends version and alerts`},
		{"only a version", `{"version":"4"}`, `the notification has no alerts; Alertmanager always sends at least one`},
		{"null alerts", `{"version":"4","alerts":null}`, `the notification has no alerts; Alertmanager always sends at least one`},
		{"no alerts", `{"version":"4","alerts":[]}`, `the notification has no alerts; Alertmanager always sends at least one`},
		{"an old version", `{"version":"3","alerts":[` + alert + `]}`, `the body's version is "3"; triagebot reads version "4", which Alertmanager sends since 0.6`},
		{"a version of another type", `{"version":4,"alerts":[` + alert + `]}`, `the body's version is 4; triagebot reads version "4", which Alertmanager sends since 0.6`},
		{"a huge version", `{"version":"` + strings.Repeat("9", 9999) + `"}`, `the body's version is "999999999999999999999999999999999999999…; triagebot reads version "4", which Alertmanager sends since 0.6`},
		{"no version", `{"alerts":[` + alert + `]}`, `the body has no version; a standard Alertmanager notification says "version": "4", so remove a custom payload from webhook_configs`},
		{"a custom payload", `{"title":"A","details":{"x":1}}`, `the body has neither version nor alerts; if this Alertmanager's webhook_configs set a custom payload, remove it, for triagebot reads the standard one`},
		{"a custom payload under the standard names", `{"version":"4","alerts":"two firing"}`, `the body's field "alerts" holds a JSON string, which Alertmanager never sends there; if webhook_configs set a custom payload, remove it`},
		{"a label that is no text", `{"version":"4","alerts":[{"status":"firing","labels":{"a":1},"startsAt":"2026-03-01T12:00:00Z"}]}`, `the body's field "alerts.labels" holds a JSON number, which Alertmanager never sends there; if webhook_configs set a custom payload, remove it`},
		{"a Slack message", `{"channel":"#x","text":"A"}`, `the body is a Slack message, not an Alertmanager notification; use webhook_configs for this URL, not slack_configs`},
		{"Alertmanager's own Slack message", `{"channel":"#x","username":"am","attachments":[{"title":"A"}]}`, `the body is a Slack message, not an Alertmanager notification; use webhook_configs for this URL, not slack_configs`},
		{"a PagerDuty event", `{"routing_key":"k","event_action":"trigger"}`, `the body is a PagerDuty event, not an Alertmanager notification; use webhook_configs for this URL, not pagerduty_configs`},
		{"Grafana's notification", `{"receiver":"r","status":"firing","orgId":1,"alerts":[` + alert + `],"groupLabels":{},"version":"1","title":"t","state":"alerting"}`, `the body is Grafana's notification, not Alertmanager's; send it to an Alertmanager contact point and let that one notify triagebot`},
		{"Grafana's legacy notification", `{"evalMatches":[],"ruleId":1,"title":"t"}`, `the body is Grafana's legacy notification, not Alertmanager's; send it to an Alertmanager and let that one notify triagebot`},
		{"an alert without labels", `{"version":"4","alerts":[` + alert + `,{"status":"firing","startsAt":"2026-03-01T12:00:00Z"}]}`, `alert 2 has no labels`},
		{"a null alert", `{"version":"4","alerts":[null]}`, `alert 1 has no labels`},
		{"an alert without a status", `{"version":"4","alerts":[{"labels":{"alertname":"A"},"startsAt":"2026-03-01T12:00:00Z"}]}`, `alert 1 ("A") has the status ""; it must be "firing" or "resolved"`},
		{"an alert of an unknown status", `{"version":"4","alerts":[{"status":"pending","labels":{"alertname":"A"},"startsAt":"2026-03-01T12:00:00Z"}]}`, `alert 1 ("A") has the status "pending"; it must be "firing" or "resolved"`},
		{"an alert without a start", `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"A"}}]}`, `alert 1 ("A") has no startsAt`},
		{"an alert from before time", `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"A"},"startsAt":"1500-01-01T00:00:00Z"}]}`, `alert 1 ("A") started in the year 1500; it must be from 1970 to 2200`},
		{"a start that is no time", `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"A"},"startsAt":"noon"}]}`, `the body has a value that Alertmanager never sends: parsing time "noon" as "2006-01-02T15:04:05Z07:00": cannot parse "noon" as "2006"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Decode([]byte(test.body), receivedAt)
			if err == nil {
				t.Fatal("was taken for a notification")
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeAcceptsUnknownFields(t *testing.T) {
	body := bytes.Replace(testBody(t, "v0.34-firing.json"), []byte(`{"receiver"`), []byte(`{"added_in_0_40":{"deep":[1,2]},"receiver"`), 1)
	if _, err := Decode(body, receivedAt); err != nil {
		t.Error(err)
	}
}

func TestDecodeBoundsHostileText(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	decode := func(t *testing.T, a template.Alert) triage.Alert {
		t.Helper()
		a.Status, a.StartsAt = "firing", start
		n, err := Decode(encode(t, a), receivedAt)
		if err != nil {
			t.Fatal(err)
		}
		return n.Alerts[0]
	}

	t.Run("a value of a megabyte is cut between runes and says so", func(t *testing.T) {
		long := strings.Repeat("é", 1<<19)
		a := decode(t, template.Alert{Labels: template.KV{"alertname": "A", "long": long, "other": long + "!"}})
		got := a.Labels["long"]
		if len(got) > MaxText || !utf8.ValidString(got) || strings.Contains(got, "\uFFFD") {
			t.Errorf("kept %d bytes, valid UTF-8: %t", len(got), utf8.ValidString(got))
		}
		if !strings.HasPrefix(got, "éé") || !strings.Contains(got, "… [cut: 1048576 bytes, sha256 ") {
			t.Errorf("the cut is not marked: …%q", got[len(got)-120:])
		}
		if got == a.Labels["other"] {
			t.Error("two different values became one")
		}
	})
	t.Run("the fingerprint is of the whole value", func(t *testing.T) {
		long := strings.Repeat("x", MaxText+1)
		a := decode(t, template.Alert{Labels: template.KV{"alertname": "A", "long": long}})
		if want := (model.LabelSet{"alertname": "A", "long": model.LabelValue(long)}).Fingerprint().String(); a.Fingerprint != want {
			t.Errorf("fingerprint is %s, want %s", a.Fingerprint, want)
		}
	})
	t.Run("a value at the bound is kept as it is", func(t *testing.T) {
		long := strings.Repeat("x", MaxText)
		if a := decode(t, template.Alert{Labels: template.KV{"l": long}}); a.Labels["l"] != long {
			t.Error("was changed")
		}
	})
	t.Run("markup, quotes and direction marks are kept", func(t *testing.T) {
		const hostile = "<!channel> `x` \"} or vector(1) \u202e \n"
		if a := decode(t, template.Alert{Labels: template.KV{"l": hostile}}); a.Labels["l"] != hostile {
			t.Errorf("became %q", a.Labels["l"])
		}
	})
	t.Run("NUL and invalid UTF-8 become U+FFFD", func(t *testing.T) {
		body := bytes.Replace(encode(t, template.Alert{Status: "firing", StartsAt: start, Labels: template.KV{"l": "@"}}), []byte("@"), []byte("a\\u0000b\xffc"), 1)
		n, err := Decode(body, receivedAt)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := n.Alerts[0].Labels["l"], "a\uFFFDb\uFFFDc"; got != want {
			t.Errorf("became %q, want %q", got, want)
		}
	})
	t.Run("of too many labels alertname and severity are kept", func(t *testing.T) {
		labels := template.KV{"alertname": "A", "severity": "critical"}
		for i := range 4 * MaxLabels {
			labels[fmt.Sprintf("a%04d", i)] = "x"
		}
		a := decode(t, template.Alert{Labels: labels})
		if len(a.Labels) != MaxLabels || a.Labels["alertname"] != "A" || a.Labels["severity"] != "critical" || a.Labels["a0000"] != "x" {
			t.Errorf("kept %d labels, alertname %q, severity %q", len(a.Labels), a.Labels["alertname"], a.Labels["severity"])
		}
	})
	t.Run("a fingerprint that is none is computed", func(t *testing.T) {
		a := decode(t, template.Alert{Labels: template.KV{"l": "x"}, Fingerprint: strings.Repeat("f", 1<<20)})
		if want := (model.LabelSet{"l": "x"}).Fingerprint().String(); a.Fingerprint != want {
			t.Errorf("fingerprint is %s, want %s", a.Fingerprint, want)
		}
	})
	for _, link := range []string{"javascript:alert(1)", "javascript://x/%0aalert(1)", "data:text/html,x", "//host/x", "http://" + strings.Repeat("x", MaxText), "http://x/\x1b[0m"} {
		t.Run(fmt.Sprintf("the link %.40q is dropped", link), func(t *testing.T) {
			if a := decode(t, template.Alert{Labels: template.KV{"l": "x"}, GeneratorURL: link}); a.GeneratorURL != "" {
				t.Errorf("was kept as %.80q", a.GeneratorURL)
			}
		})
	}
}

// FuzzDecode holds Decode to its promises whatever the body is.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no seed bodies", err)
	}
	for _, file := range files {
		f.Add(testBody(f, filepath.Base(file)))
	}
	for _, seed := range []string{
		``, `null`, `{}`, `[]`, `{"version":"4"}`, `{"version":4,"alerts":[{}]}`, `{"orgId":1,"groupLabels":{}}`,
		`{"version":"4","alerts":[{"status":"firing","labels":{"a":"\u0000\ud800"},"startsAt":"2026-03-01T12:00:00+23:59"}]}`,
		`{"version":"4","alerts":[{"status":"resolved","labels":{"":""},"startsAt":"1970-01-01T00:00:00Z","endsAt":"9999-12-31T23:59:59Z"}]}`,
		`{"Version":"4","ALERTS":[{"status":"firing","labels":{"a":"b"},"startsAt":"2026-03-01T12:00:00Z"}],"truncatedAlerts":18446744073709551615}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := Decode(body, receivedAt)
		if err != nil {
			if text := err.Error(); text == "" || len(text) > 1024 || !utf8.ValidString(text) || strings.Contains(text, "\n") {
				t.Fatalf("the error is no sentence to show: %q", text)
			}
			return
		}
		if len(n.Alerts) == 0 {
			t.Fatal("no alerts, and no error")
		}
		checkText(t, n.Receiver)
		checkText(t, n.ExternalURL)
		checkLabels(t, n.GroupLabels)
		seen := map[identity]bool{}
		for _, a := range n.Alerts {
			if id := (identity{a.Fingerprint, a.StartsAt}); seen[id] {
				t.Fatalf("%v stands twice", id)
			} else {
				seen[id] = true
			}
			if _, err := model.ParseFingerprint(a.Fingerprint); err != nil {
				t.Fatal(err)
			}
			if len(a.Labels) == 0 || !storable(a.StartsAt) || (a.Status == triage.AlertFiring) != a.EndsAt.IsZero() {
				t.Fatalf("not a whole alert: %+v", a)
			}
			checkLabels(t, a.Labels)
			checkLabels(t, a.Annotations)
			checkText(t, a.GeneratorURL)
		}
		// What was taken is taken again, and stays what it is.
		again, err := Decode(reencode(t, n), receivedAt)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(n, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

func checkLabels(t *testing.T, labels triage.Labels) {
	t.Helper()
	if len(labels) > MaxLabels {
		t.Fatalf("%d labels", len(labels))
	}
	for name, value := range labels {
		checkText(t, name)
		checkText(t, value)
	}
}

func checkText(t *testing.T, s string) {
	t.Helper()
	if len(s) > MaxText || !utf8.ValidString(s) || strings.Contains(s, "\x00") {
		t.Fatalf("unsafe text of %d bytes: %.100q", len(s), s)
	}
}

// encode is the body of a notification with the given alerts.
func encode(t testing.TB, alerts ...template.Alert) []byte {
	t.Helper()
	body, err := json.Marshal(Message{
		Data:    template.Data{Receiver: "triage", Status: "firing", Alerts: alerts, ExternalURL: "http://alertmanager:9093"},
		Version: "4", GroupKey: "{}:{}",
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// reencode is a body that says what n says.
func reencode(t testing.TB, n triage.Notification) []byte {
	t.Helper()
	msg := Message{
		Data:    template.Data{Receiver: n.Receiver, ExternalURL: n.ExternalURL, GroupLabels: template.KV(n.GroupLabels)},
		Version: "4", TruncatedAlerts: n.Truncated,
	}
	for _, a := range n.Alerts {
		msg.Alerts = append(msg.Alerts, template.Alert{
			Status: string(a.Status), Labels: template.KV(a.Labels), Annotations: template.KV(a.Annotations),
			StartsAt: a.StartsAt, EndsAt: a.EndsAt, GeneratorURL: a.GeneratorURL, Fingerprint: a.Fingerprint,
		})
	}
	body, err := json.Marshal(msg)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func BenchmarkDecode(b *testing.B) {
	for _, alerts := range []int{1, 20} {
		b.Run(fmt.Sprintf("alerts=%d", alerts), func(b *testing.B) {
			body := bodyOf(b, alerts)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(body, receivedAt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// bodyOf is a realistic notification of so many alerts.
func bodyOf(b testing.TB, alerts int) []byte {
	b.Helper()
	var msg Message
	if err := json.Unmarshal(testBody(b, "v0.34-firing.json"), &msg); err != nil {
		b.Fatal(err)
	}
	first := msg.Alerts[0]
	msg.Alerts = nil
	for i := range alerts {
		a := first
		a.Labels = template.KV{}
		for name, value := range first.Labels {
			a.Labels[name] = value
		}
		a.Labels["instance"] = fmt.Sprintf("app-%d:8080", i)
		a.Fingerprint = fmt.Sprintf("%016x", i+1)
		msg.Alerts = append(msg.Alerts, a)
	}
	body, err := json.Marshal(msg)
	if err != nil {
		b.Fatal(err)
	}
	return body
}
