package slacklocal

// Who is who: auth.test and users.info.

func (w *Workspace) authTest(c *call) (answer, error) {
	return answer{
		"url": "http://" + c.host + "/", "team": "local", "team_id": TeamID,
		"user": "triagebot", "user_id": UserID, "bot_id": BotID, "is_enterprise_install": false,
	}, nil
}

func (w *Workspace) usersInfo(c *call) (answer, error) {
	id := c.str("user")
	if id != UserID {
		return nil, fail("user_not_found")
	}
	return answer{"user": answer{
		"id": UserID, "team_id": TeamID, "name": "triagebot", "real_name": "triagebot", "is_bot": true,
		"profile": answer{"real_name": "triagebot", "display_name": "triagebot", "bot_id": BotID},
	}}, nil
}
