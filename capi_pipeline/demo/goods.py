"""What the shop sells, in which currency."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

# Country -> currency, decimals, units per US dollar.
MONEY: dict[str, tuple[str, int, float]] = {
    "US": ("USD", 2, 1.0),
    "GB": ("GBP", 2, 0.8),
    "DE": ("EUR", 2, 0.9),
    "FR": ("EUR", 2, 0.9),
    "JP": ("JPY", 0, 150.0),
    "KW": ("KWD", 3, 0.31),
    "BR": ("BRL", 2, 5.4),
    "IN": ("INR", 2, 84.0),
}
CATEGORIES: dict[str, tuple[str, ...]] = {
    "Garden": ("Copper Watering Can", "Cedar Planter", "Bee Hotel", "Folding Spade"),
    "Kitchen": ("Stoneware Mug", "Walnut Board", "Cast Iron Pan", "Linen Apron", "Tea Strainer"),
    "Home": ("Wool Throw", "Brass Lamp", "Beeswax Candle", "Oak Stool", "Rattan Basket"),
    "Travel": ("Canvas Duffel", "Enamel Flask", "Packing Cubes", 'Notebook "Atlas", A5'),
}
SEARCHES = ("planter", "mug blue", "gift for her", "lámpara", "Kerze", "flask 1l", "コップ", "wool throw xl")


@dataclass(frozen=True, slots=True)
class Product:
    """One product at its price in US cents."""

    id: str
    name: str
    category: str
    brand: str
    cents: int


_NAMES = [(category, name) for category, names in CATEGORIES.items() for name in names]
PRODUCTS = tuple(
    Product(f"P{i + 1:03}", name, category, ("Fernhollow", "Nordlicht", "Casa Verde")[i % 3], 790 + i * i * 37)
    for i, (category, name) in enumerate(_NAMES)
)
VARIANTS = ("", "blue", "natural", "XL")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a basket; `price` in the currency's smallest unit."""

    product: Product
    variant: str
    quantity: int
    price: int


@dataclass(frozen=True, slots=True)
class Basket:
    """What one person is about to buy, in the currency of their country."""

    currency: str
    decimals: int
    lines: tuple[Line, ...]

    @property
    def worth(self) -> int:
        return sum(line.price * line.quantity for line in self.lines)

    def text(self, amount: int) -> str:
        """An amount in the spelling of the currency: no decimals for yen, three for dinar."""
        return f"{self.number(amount):.{self.decimals}f}"

    def number(self, amount: int) -> float:
        return round(amount / float(10**self.decimals), self.decimals)

    def items(self) -> list[dict[str, object]]:
        """As a pixel sends them."""
        return [
            {
                "item_id": line.product.id,
                "item_name": line.product.name,
                "quantity": line.quantity,
                "price": self.number(line.price),
            }
            for line in self.lines
        ]


def basket(rng: Random, country: str) -> Basket:
    """One to four lines of random products."""
    currency, decimals, rate = MONEY[country]
    lines = []
    for product in rng.sample(PRODUCTS, 1 + int(3.4 * rng.random() ** 2)):
        price = max(1, round(product.cents * rate * 10**decimals / 100))
        lines.append(Line(product, rng.choice(VARIANTS), 1 + int(2.5 * rng.random() ** 3), price))
    return Basket(currency, decimals, tuple(lines))
