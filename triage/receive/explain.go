package receive

// One helpful sentence for each body that is not a notification: whoever reads
// it in Alertmanager's log should know what to change.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/alertmanager/template"

	"triagebot/triage"
)

var errEmpty = errors.New("the body is empty; this URL takes the notifications of Alertmanager's webhook_configs")

// foreign are bodies of other senders that are likely to end up here, by
// top-level keys that Alertmanager's own body does not have.
var foreign = []struct {
	keys []string
	what string
}{
	{[]string{"orgId", "groupLabels"}, "the body is Grafana's notification, not Alertmanager's; send it to an Alertmanager contact point and let that one notify triagebot"},
	{[]string{"evalMatches"}, "the body is Grafana's legacy notification, not Alertmanager's; send it to an Alertmanager and let that one notify triagebot"},
	{[]string{"routing_key"}, "the body is a PagerDuty event, not an Alertmanager notification; use webhook_configs for this URL, not pagerduty_configs"},
	{[]string{"attachments"}, "the body is a Slack message, not an Alertmanager notification; use webhook_configs for this URL, not slack_configs"},
	{[]string{"blocks"}, "the body is a Slack message, not an Alertmanager notification; use webhook_configs for this URL, not slack_configs"},
	{[]string{"channel", "text"}, "the body is a Slack message, not an Alertmanager notification; use webhook_configs for this URL, not slack_configs"},
}

// explain says why body is not a notification. decodeErr is why it could not
// be decoded, nil when it could.
func explain(body []byte, decodeErr error) error {
	if syntax := new(json.SyntaxError); errors.As(decodeErr, &syntax) {
		return fmt.Errorf("the body is not JSON: %w at byte %d", syntax, syntax.Offset)
	}
	switch bytes.TrimSpace(body)[0] {
	case '{':
	case '[':
		return errors.New("the body is a JSON list, as Prometheus sends it to Alertmanager; point Prometheus at Alertmanager, and Alertmanager's webhook_configs here")
	default:
		return errors.New("the body is not a JSON object with version and alerts, as Alertmanager's webhook sends it")
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(body, &keys); err != nil {
		return fmt.Errorf("the body is not a JSON object: %w", err)
	}
	if len(keys) == 0 {
		return errors.New("the body is an empty JSON object; Alertmanager's webhook sends version and alerts")
	}
	for _, f := range foreign {
		if hasAll(keys, f.keys) {
			return errors.New(f.what)
		}
	}
	rawVersion, hasVersion := keys["version"]
	_, hasAlerts := keys["alerts"]
	switch {
	case !hasVersion && !hasAlerts:
		return errors.New("the body has neither version nor alerts; if this Alertmanager's webhook_configs set a custom payload, remove it, for triagebot reads the standard one")
	case !hasVersion:
		return errors.New(`the body has no version; a standard Alertmanager notification says "version": "4", so remove a custom payload from webhook_configs`)
	case string(rawVersion) != `"`+version+`"`:
		return fmt.Errorf("the body's version is %s; triagebot reads version %q, which Alertmanager sends since 0.6", oneLine(string(rawVersion), 40), version)
	}
	if wrongType := new(json.UnmarshalTypeError); errors.As(decodeErr, &wrongType) {
		return fmt.Errorf("the body's field %s holds a JSON %s, which Alertmanager never sends there; if webhook_configs set a custom payload, remove it",
			excerpt(strings.TrimPrefix(wrongType.Field, "Data.")), wrongType.Value)
	}
	if decodeErr != nil { // of a time
		return fmt.Errorf("the body has a value that Alertmanager never sends: %s", oneLine(decodeErr.Error(), 160))
	}
	return errors.New("the notification has no alerts; Alertmanager always sends at least one")
}

// checkAlert says what the i-th alert, from 0, lacks.
func checkAlert(i int, a *template.Alert) error {
	status := triage.AlertStatus(a.Status)
	switch {
	case len(a.Labels) == 0:
		return fmt.Errorf("alert %d has no labels", i+1)
	case status != triage.AlertFiring && status != triage.AlertResolved:
		return fmt.Errorf("alert %d (%s) has the status %s; it must be %q or %q",
			i+1, excerpt(a.Labels["alertname"]), excerpt(a.Status), triage.AlertFiring, triage.AlertResolved)
	case a.StartsAt.IsZero():
		return fmt.Errorf("alert %d (%s) has no startsAt", i+1, excerpt(a.Labels["alertname"]))
	case !storable(a.StartsAt):
		return fmt.Errorf("alert %d (%s) started in the year %d; it must be from 1970 to 2200", i+1, excerpt(a.Labels["alertname"]), a.StartsAt.Year())
	}
	return nil
}

func hasAll(keys map[string]json.RawMessage, wanted []string) bool {
	for _, key := range wanted {
		if _, ok := keys[key]; !ok {
			return false
		}
	}
	return true
}

// oneLine is s on one line, cut to so many runes.
func oneLine(s string, most int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// excerpt quotes the start of what a sender wrote, on one line.
func excerpt(s string) string {
	const most = 80
	runes := []rune(strings.ToValidUTF8(s[:min(len(s), 4*most)], "\uFFFD"))
	if len(runes) > most {
		return fmt.Sprintf("%q…", string(runes[:most]))
	}
	return fmt.Sprintf("%q", string(runes))
}
