package policyd.isolation.root_container_test

import data.policyd.isolation.root_container

document(options) := {"containers": [{
	"at": ["containers", 0], "stage": "build", "image": "alpine", "options": options, "privileged": false, "volumes": [],
}]}

test_user_0_is_denied if {
	found := root_container.deny with input as document("--privileged --user=0")
	found == {{"message": "alpine is told to run as root", "at": ["containers", 0]}}
}

test_the_users_of_an_image_are_not_looked_at if {
	count(root_container.deny) == 0 with input as document("")
}

test_nothing_is_fine if {
	count(root_container.deny) == 0 with input as {"containers": []}
}
