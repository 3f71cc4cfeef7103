# Adds up an order, a FastAPI application: curl "$ENDPOINT/orders" --json '{"items": [{"name": "tea", "price": 3.5, "count": 2}]}'
from fastapi import FastAPI
from pydantic import BaseModel, Field

app = FastAPI(title="Orders")


class Item(BaseModel):
    name: str
    price: float = Field(gt=0)
    count: int = 1


class Order(BaseModel):
    items: list[Item]


@app.post("/orders")
async def order(order: Order):
    return {"items": len(order.items), "total": sum(item.price * item.count for item in order.items)}
