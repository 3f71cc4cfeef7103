package message

const childDir = "MESSAGE_TEST_CHILD_DIR"

func childMain(string) {}
