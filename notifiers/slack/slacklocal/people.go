package slacklocal

// The people of the workspace and their groups: users.info and usergroups.*.

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bounds of who there is; New refuses more.
const (
	maxPeople = 100
	maxGroups = 100
)

// Person is somebody who can act in the workspace.
type Person struct {
	ID   string // U0PERSON1
	Name string // what others see; without spaces, so that it can be mentioned
	// Team is the workspace that somebody belongs to who is here by Slack
	// Connect; "" is this one.
	Team string
}

func (p Person) team() string {
	if p.Team != "" {
		return p.Team
	}
	return TeamID
}

// you is the person there is when Options names none.
var you = Person{ID: "U0PERSON1", Name: "you"}

// settle takes the people and groups of the options.
func (w *Workspace) settle(people []Person, groups map[string][]string) error {
	if len(people) == 0 {
		people = []Person{you}
	}
	if len(people) > maxPeople || len(groups) > maxGroups {
		return fmt.Errorf("local channel: %d people and %d groups; allowed are %d and %d", len(people), len(groups), maxPeople, maxGroups)
	}
	for i, p := range people {
		if p.ID == "" || p.ID == UserID || p.Name == "" || p.Name == BotName || strings.ContainsAny(p.Name, " \t\n<>&@") {
			return fmt.Errorf("local channel: %q, called %q, can be nobody: a person has an ID and a name of one word, and is not the bot", p.ID, p.Name)
		}
		if slices.ContainsFunc(people[:i], func(o Person) bool { return o.ID == p.ID || o.Name == p.Name }) {
			return fmt.Errorf("local channel: two people have the ID %s or the name %s", p.ID, p.Name)
		}
	}
	w.people = slices.Clone(people)
	w.groups = maps.Clone(groups)
	return nil
}

// person finds somebody by ID.
func (w *Workspace) person(id string) (Person, bool) {
	i := slices.IndexFunc(w.people, func(p Person) bool { return p.ID == id })
	if i < 0 {
		return Person{}, false
	}
	return w.people[i], true
}

// nameOf is what people call a user, the ID where nobody knows better. It
// needs no lock: who there is does not change.
func (w *Workspace) nameOf(id string) string {
	if id == UserID {
		return BotName
	}
	if p, ok := w.person(id); ok {
		return p.Name
	}
	return id
}

// mentionName is how a mention is shown: "@U0PERSON1" by the person's name.
func (w *Workspace) mentionName(mention string) string {
	if id, ok := strings.CutPrefix(mention, "@"); ok {
		return "@" + w.nameOf(id)
	}
	return mention
}

// SetGroup gives a user group its members, as an administrator would; nil
// disables it.
func (w *Workspace) SetGroup(id string, users []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if users == nil {
		delete(w.groups, id)
		return
	}
	if w.groups == nil {
		w.groups = make(map[string][]string)
	}
	w.groups[id] = slices.Clone(users)
}

func (w *Workspace) usersInfo(c *call) (answer, error) {
	id := c.str("user")
	if id == UserID {
		return answer{"user": answer{
			"id": UserID, "team_id": TeamID, "name": BotName, "real_name": BotName, "is_bot": true,
			"profile": answer{"real_name": BotName, "display_name": BotName, "bot_id": BotID},
		}}, nil
	}
	p, ok := w.person(id)
	if !ok {
		return nil, fail("user_not_found")
	}
	return answer{"user": answer{
		"id": p.ID, "team_id": p.team(), "name": p.Name, "real_name": p.Name, "is_bot": false,
		"is_stranger": p.Team != "", "tz": "Etc/UTC", "deleted": false,
		"profile": answer{"real_name": p.Name, "display_name": p.Name},
	}}, nil
}

func (w *Workspace) groupList(c *call) (answer, error) {
	list := []answer{}
	for _, id := range slices.Sorted(maps.Keys(w.groups)) {
		g := answer{
			"id": id, "team_id": TeamID, "is_usergroup": true, "name": id, "handle": strings.ToLower(id),
			"date_delete": 0, "user_count": len(w.groups[id]),
		}
		if c.flag("include_users") {
			g["users"] = w.groups[id]
		}
		list = append(list, g)
	}
	return answer{"usergroups": list}, nil
}

func (w *Workspace) groupUsers(c *call) (answer, error) {
	users, ok := w.groups[c.str("usergroup")]
	if !ok {
		return nil, fail("no_such_subteam")
	}
	return answer{"users": append([]string{}, users...)}, nil
}
