//go:build e2e

// Reading what the channel shows.

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"triagebot/notifiers/slack/slacklocal"
	"triagebot/playbooks"
)

// thread is the one thread about an alert. None and several are errors.
func (w *world) thread(alertname string) (found slacklocal.Thread, err error) {
	n := 0
	for _, t := range w.slack.Channel(channelName) {
		if strings.Contains(t.Text, ", "+alertname+", is ") {
			found = t
			n++
		}
	}
	if n != 1 {
		return found, fmt.Errorf("%d parent messages about %s; want 1", n, alertname)
	}
	return found, nil
}

// shows says whether an alert's parent message has all of these texts, in its
// sentence or its blocks.
func (w *world) shows(alertname string, texts ...string) error {
	thread, err := w.thread(alertname)
	if err != nil {
		return err
	}
	shown := thread.Text + "\n" + blocksText(thread.Message)
	for _, text := range texts {
		if !strings.Contains(shown, text) {
			return fmt.Errorf("the parent does not show %q; it shows %s", text, shown)
		}
	}
	return nil
}

// blocksText is all text of a message's blocks, a line each.
func blocksText(m slacklocal.Message) string {
	var out []string
	walk(m.Blocks, func(key, value string) {
		if key == "text" {
			out = append(out, value)
		}
	})
	return strings.Join(out, "\n")
}

// links are where a message's links lead.
func links(m slacklocal.Message) (out []string) {
	walk(m.Blocks, func(key, value string) {
		if key == "url" {
			out = append(out, value)
		}
	})
	return out
}

// walk calls see with every text in a JSON value and its key.
func walk(text json.RawMessage, see func(key, value string)) {
	var value any
	if json.Unmarshal(text, &value) != nil {
		return
	}
	var visit func(key string, value any)
	visit = func(key string, value any) {
		switch v := value.(type) {
		case string:
			see(key, v)
		case []any:
			for _, item := range v {
				visit(key, item)
			}
		case map[string]any:
			for k, item := range v {
				visit(k, item)
			}
		}
	}
	visit("", value)
}

// playbookStep is what the tests need to know of a shipped playbook's step.
type playbookStep struct {
	ID, Title string
	When      string
	Query     struct{ Chart map[string]any }
	Panel     map[string]any
	Announce  map[string]any
}

// pictures are how many a step posts.
func (s *playbookStep) pictures() int {
	if s.Query.Chart != nil || s.Panel != nil {
		return 1
	}
	return 0
}

func stepsOf(playbook string) ([]playbookStep, error) {
	text, err := playbooks.Files.ReadFile(playbook + ".yaml")
	if err != nil {
		return nil, err
	}
	var file struct{ Steps []playbookStep }
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	if len(file.Steps) == 0 {
		return nil, fmt.Errorf("playbook %s has no steps", playbook)
	}
	return file.Steps, nil
}

// findingText is how a finding's reply begins.
var findingText = regexp.MustCompile(`^Step (.+) of incident \d+ is (normal|abnormal|unknown|skipped): .`)

// findings are the states that a thread tells of the playbook's steps, by id.
// Each must have exactly one reply that says its state in words; a step of no
// playbook has none.
func findings(thread slacklocal.Thread, steps []playbookStep) (map[string]string, error) {
	replies := map[string][]string{}
	for _, reply := range thread.Replies {
		match := findingText.FindStringSubmatch(reply.Text)
		if match == nil {
			continue
		}
		title, state := match[1], match[2]
		if !strings.Contains(blocksText(reply), strings.ToUpper(state)) {
			return nil, fmt.Errorf("the reply %q does not show that it is %s", reply.Text, state)
		}
		replies[title] = append(replies[title], state)
	}
	states := map[string]string{}
	told := 0
	for _, step := range steps {
		got := replies[step.Title]
		switch {
		case len(got) == 1:
			states[step.ID] = got[0]
			told++
		case len(got) == 0 && (step.When != "" || step.Announce != nil):
			// It was skipped, or an announcement stands for it.
		default:
			return nil, fmt.Errorf("step %s has %d replies; want 1", step.ID, len(got))
		}
	}
	if len(replies) != told {
		return nil, fmt.Errorf("there are replies about %d steps; the playbook has %d of them", len(replies), told)
	}
	return states, nil
}

// uploads are the files in a thread.
func uploads(thread slacklocal.Thread) (ids []string) {
	for _, reply := range thread.Replies {
		ids = append(ids, reply.Files...)
	}
	return ids
}

// picture opens a file of the workspace, which must be a PNG.
func (w *world) picture(id string) error {
	resp, err := http.PostForm(w.slackURL+"/api/files.info", url.Values{"token": {slackToken}, "file": {id}})
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var answer struct {
		Error string
		File  struct {
			URL string `json:"url_private"`
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return errors.New("files.info: " + answer.Error)
	}
	data, err := get(answer.File.URL)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(data, []byte("\x89PNG\r\n")) {
		return fmt.Errorf("file %s is no PNG", id)
	}
	return nil
}
