"""How much memory the clients of a worker may hold."""

from users_api.server.memory import MemoryBudget


class Client:
    """A client that reads slowly."""

    def __init__(self, name: str, dropped: list[str]) -> None:
        self.name, self.dropped = name, dropped

    def disconnect(self) -> None:
        self.dropped.append(self.name)


def test_bodies_use_up_half_of_the_budget() -> None:
    budget = MemoryBudget(200)

    held = [budget.hold_requests(60), budget.hold_requests(40), budget.hold_requests(1)]
    budget.hold_requests(-2)

    assert held == [True, True, False]
    assert budget.hold_requests(1)


def test_the_clients_that_have_been_reading_longest_make_room() -> None:
    budget, dropped = MemoryBudget(200), []
    first, second, third, fourth = (Client(name, dropped) for name in ("first", "second", "third", "fourth"))

    for client, size in [(first, 40), (second, 40), (first, 30), (third, 70), (fourth, 30)]:
        budget.hold_response(client, size)

    assert dropped == ["second", "first"]
    assert budget.hold_requests(100)


def test_a_response_that_was_read_holds_nothing() -> None:
    budget, dropped = MemoryBudget(200), []
    first, second = Client("first", dropped), Client("second", dropped)

    budget.hold_response(first, 90)
    budget.release_response(first)
    budget.release_response(first)
    budget.hold_response(second, 100)

    assert dropped == []


def test_one_response_may_exceed_the_budget() -> None:
    dropped: list[str] = []

    MemoryBudget(200).hold_response(Client("only", dropped), 1000)

    assert dropped == []


def test_relief_is_reported_once_nothing_is_held_after_a_lot_was() -> None:
    reliefs: list[bool] = []
    budget, client = MemoryBudget(200, lambda: reliefs.append(True)), Client("first", [])

    budget.hold_requests(50)
    budget.hold_requests(-50)
    assert reliefs == []
    budget.hold_requests(51)
    budget.hold_response(client, 51)
    budget.hold_requests(-51)
    assert reliefs == []
    budget.release_response(client)
    budget.release_response(client)

    assert reliefs == [True]
