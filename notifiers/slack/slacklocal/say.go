package slacklocal

// What a person types: a slash command, a message, or one that mentions the
// bot, of which the app hears by the Events API.

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Place is where in the workspace somebody acts.
type Place struct {
	Channel string // name or ID
	Thread  string // ts of the thread's parent, "" in the channel itself
}

// Notice is what Slack tells a person whose act came to nothing.
type Notice struct{ Text string }

func (n *Notice) Error() string { return n.Text }

func notice(format string, args ...any) error { return &Notice{fmt.Sprintf(format, args...)} }

// maxSaid is how many characters a person can type at once.
const maxSaid = 12_000

// Say does what Slack does with what a person types. It returns once the app
// has answered a command, after 3 s at most; an event is delivered later. The
// error is a *Notice, which is to be shown to the person.
func (w *Workspace) Say(ctx context.Context, user string, at Place, text string) error {
	text = strings.TrimSpace(text)
	switch n := utf8.RuneCountInString(text); {
	case n == 0:
		return notice("There is nothing to send.")
	case n > maxSaid:
		return notice("Your message is too long: it has %d characters, and %d can be sent at once.", n, maxSaid)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return notice("Your message has characters that are none.")
	}
	if strings.HasPrefix(text, "/") {
		return w.command(ctx, user, at, text)
	}
	return w.message(user, at, text)
}

// stand finds the person and where they are. Call with mu held.
func (w *Workspace) stand(user string, at Place) (Person, *channel, error) {
	p, ok := w.person(user)
	if !ok {
		return p, nil, notice("There is nobody with the ID %s here.", user)
	}
	ch, err := w.channelFor(at.Channel, true)
	if err != nil {
		return p, nil, notice("There is no channel %s.", at.Channel)
	}
	if ch.Archived {
		return p, nil, notice("You can't send messages to #%s: it is archived.", ch.Name)
	}
	return p, ch, nil
}

func (w *Workspace) command(ctx context.Context, user string, at Place, text string) error {
	name, rest := text, ""
	if i := strings.IndexAny(text, " \t\n"); i > 0 {
		name, rest = text[:i], strings.TrimSpace(text[i:])
	}
	w.mu.Lock()
	p, ch, err := w.stand(user, at)
	switch {
	case err != nil:
	case at.Thread != "":
		err = notice("%s is not supported in threads. Sorry!", name)
	case !slices.Contains(w.commands, name):
		err = notice(`%s is not a valid command. In Slack, all messages that start with the "/" character are interpreted as commands. If you are trying to send a message and not run a command, try preceding the "/" with an empty space.`, name)
	}
	if err != nil {
		w.mu.Unlock()
		return err
	}
	t := ticket{user: p.ID, channel: ch.ID}
	fields := map[string]string{
		"token": verificationToken, "team_id": p.team(), "team_domain": TeamDomain,
		"channel_id": ch.ID, "channel_name": ch.Name, "user_id": p.ID, "user_name": p.Name,
		"command": name, "text": escape(rest), "api_app_id": AppID, "is_enterprise_install": "false",
		"response_url": w.hook(t), "trigger_id": w.trigger(p.ID),
	}
	w.mu.Unlock()
	form := url.Values{}
	for field, value := range fields {
		form.Set(field, value)
	}
	answered, err := w.dispatch(ctx, act{kind: kindCommand, payload: fields, form: form, answers: true})
	if err == nil {
		w.mu.Lock()
		err = w.hear(&t, answered, text)
		w.mu.Unlock()
	}
	if u := (*undelivered)(nil); errors.As(err, &u) {
		return notice("%s failed with the error %q", name, u.code)
	}
	return err
}

func (w *Workspace) message(user string, at Place, text string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ch, err := w.stand(user, at)
	if err != nil {
		return err
	}
	m := &Message{User: p.ID, Text: w.compose(text)}
	if at.Thread != "" {
		if m.ThreadTS = ch.threadFor(at.Thread); m.ThreadTS == "" {
			return notice("This thread was deleted.")
		}
	}
	if err := w.post(ch, m); err != nil {
		return err
	}
	if strings.Contains(m.Text, "<@"+UserID+">") && !ch.NoBot && w.listens() {
		return w.mentioned(p, ch, m)
	}
	return nil
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escape makes text what Slack sends of what somebody typed.
func escape(s string) string { return escaper.Replace(s) }

var (
	typedMention = regexp.MustCompile(`(^|[\s(])@([^\s@:,;!?)]+)`)
	typedURL     = regexp.MustCompile(`https?://[^\s<>|]+`)
)

// compose makes a message's markup of what a person typed: text escaped, links
// and mentions recognised.
func (w *Workspace) compose(text string) string {
	text = typedURL.ReplaceAllString(escape(text), "<$0>")
	return typedMention.ReplaceAllStringFunc(text, func(found string) string {
		before, name, _ := strings.Cut(found, "@")
		if id := w.called(name); id != "" {
			return before + "<@" + id + ">"
		}
		return found
	})
}

// called is the ID of whom a name mentions, "" of nobody.
func (w *Workspace) called(name string) string {
	if name == BotName {
		return UserID
	}
	for _, p := range w.people {
		if p.Name == name {
			return p.ID
		}
	}
	return ""
}
