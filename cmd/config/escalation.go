package config

// Where messages go: a notifier and its channel, of a route or of a contact.

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"triagebot/notifiers/slack"
	"triagebot/triage/strictyaml"
)

// maxContacts is how many contacts one name may have.
const maxContacts = 10

func (k *checker) escalation(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Escalation)) {
		contacts := c.Escalation[name]
		path := "escalation." + name
		k.name(path, name)
		switch {
		case len(contacts) == 0:
			k.addf(path, "names nobody; write - {notifier: slack, channel: '#oncall'}, or remove it")
		case len(contacts) > maxContacts:
			k.addf(path, "has %d contacts; at most %d are told", len(contacts), maxContacts)
		}
		for i, contact := range contacts {
			path := fmt.Sprintf("%s[%d]", path, i)
			k.destination(path, c, contact.Notifier, contact.Channel)
			switch {
			case contact.Mention == "":
			case contact.Notifier != NotifierSlack:
				k.addf(path+".mention", "webhooks mention nobody; remove it")
			case !slack.ValidMention(contact.Mention):
				k.addf(path+".mention", "%q is no mention; write it as Slack does: <@U0123456>, <!subteam^S0123456>, <!here> or <!channel>", contact.Mention)
			}
		}
	}
}

// destination checks a notifier and a channel.
func (k *checker) destination(path string, c *Config, notifier, channel string) {
	notifiers := []string{NotifierSlack}
	for _, w := range c.Webhooks {
		if w.Name != "" {
			notifiers = append(notifiers, w.Name)
		}
	}
	switch {
	case notifier == "":
		k.addf(path+".notifier", "is missing; known are %s", strings.Join(notifiers, ", "))
	case !slices.Contains(notifiers, notifier):
		k.addf(path+".notifier", "no notifier %q is configured%s", notifier, strictyaml.Suggest(notifier, notifiers))
	case notifier == NotifierSlack && channel == "":
		k.addf(path+".channel", "is missing; write a channel's name, such as '#incidents', or its id")
	case notifier == NotifierSlack:
		k.channel(path+".channel", channel)
	case channel != "":
		k.addf(path+".channel", "webhooks have no channels; remove it")
	}
}
