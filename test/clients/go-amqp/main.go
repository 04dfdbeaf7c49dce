// One scenario of the go-amqp tests: go-amqp PORT SCENARIO. Prints `ok`, or fails with a sentence.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	amqp "github.com/Azure/go-amqp"
)

var ctx, _ = context.WithTimeout(context.Background(), 15*time.Second)

func must(err error, what string) {
	if err != nil {
		fmt.Println("failed:", what, err)
		os.Exit(1)
	}
}

func check(ok bool, what string) {
	if !ok {
		must(fmt.Errorf("is not so"), what)
	}
}

func sender(s *amqp.Session, address string) *amqp.Sender {
	sender, err := s.NewSender(ctx, address, nil)
	must(err, "sender")
	return sender
}

func receiver(s *amqp.Session, address string, options *amqp.ReceiverOptions) *amqp.Receiver {
	receiver, err := s.NewReceiver(ctx, address, options)
	must(err, "receiver")
	return receiver
}

func send(sender *amqp.Sender, body []byte) {
	message := amqp.NewMessage(body)
	message.Header = &amqp.MessageHeader{Durable: true}
	must(sender.Send(ctx, message, nil), "send")
}

func receive(receiver *amqp.Receiver) *amqp.Message {
	message, err := receiver.Receive(ctx, nil)
	must(err, "receive")
	return message
}

func order(s *amqp.Session) {
	from := sender(s, "queue://go.order")
	for i := 0; i < 100; i++ {
		send(from, []byte(fmt.Sprint(i)))
	}
	to := receiver(s, "queue://go.order", &amqp.ReceiverOptions{Credit: 10})
	for i := 0; i < 100; i++ {
		message := receive(to)
		check(string(message.GetData()) == fmt.Sprint(i), "order")
		must(to.AcceptMessage(ctx, message), "accept")
	}
}

func outcomes(s *amqp.Session) {
	send(sender(s, "queue://go.outcomes"), make([]byte, 1<<20))
	to := receiver(s, "queue://go.outcomes", nil)
	message := receive(to)
	check(len(message.GetData()) == 1<<20, "size")
	must(to.ReleaseMessage(ctx, message), "release")
	message = receive(to)
	check(message.Header.DeliveryCount == 0, "released uncounted")
	must(to.ModifyMessage(ctx, message, &amqp.ModifyMessageOptions{DeliveryFailed: true}), "modify")
	message = receive(to)
	check(message.Header.DeliveryCount == 1, "failed counted")
	must(to.RejectMessage(ctx, message, nil), "reject")
}

func second(s *amqp.Session) {
	mode := amqp.ReceiverSettleModeSecond
	to := receiver(s, "queue://go.second", &amqp.ReceiverOptions{SettlementMode: &mode, Credit: 5})
	from := sender(s, "queue://go.second")
	for i := 0; i < 20; i++ {
		send(from, []byte("x"))
		must(to.AcceptMessage(ctx, receive(to)), "accept")
	}
}

func drain(s *amqp.Session) {
	to := receiver(s, "topic://go.drain", &amqp.ReceiverOptions{Credit: -1})
	must(to.IssueCredit(5), "credit")
	must(to.DrainCredit(ctx, nil), "drain")
	must(to.IssueCredit(1), "credit again")
	send(sender(s, "topic://go.drain"), []byte("x"))
	receive(to)
}

func dynamic(s *amqp.Session) {
	to := receiver(s, "", &amqp.ReceiverOptions{DynamicAddress: true})
	send(sender(s, to.Address()), []byte("x"))
	receive(to)
}

func refused(s *amqp.Session) {
	_, err := s.NewReceiver(ctx, "queue://go.refused", &amqp.ReceiverOptions{Filters: []amqp.LinkFilter{amqp.NewSelectorFilter("x >")}})
	check(err != nil && strings.Contains(err.Error(), "invalid-field"), "selector refused")
	_, err = s.NewSender(ctx, "queue://a::b", nil)
	check(err != nil && strings.Contains(err.Error(), "not-implemented"), "address refused")
}

func main() {
	options := &amqp.ConnOptions{SASLType: amqp.SASLTypePlain("user", "password"), MaxFrameSize: 4096}
	connection, err := amqp.Dial(ctx, "amqp://127.0.0.1:"+os.Args[1], options)
	must(err, "dial")
	session, err := connection.NewSession(ctx, nil)
	must(err, "session")
	scenarios := map[string]func(*amqp.Session){"order": order, "outcomes": outcomes, "second": second, "drain": drain, "dynamic": dynamic, "refused": refused}
	scenarios[os.Args[2]](session)
	must(session.Close(ctx), "end")
	must(connection.Close(), "close")
	fmt.Println("ok")
}
