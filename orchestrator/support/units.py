"""Units of measure by the words and signs that stand behind a number, with the factor to the base unit of each kind."""

from __future__ import annotations

from typing import Final, NamedTuple


class Unit(NamedTuple):
    """What a number counts."""

    dimension: str  # units of one dimension can be compared: "time", "length", "usd", ...
    factor: float = 1.0  # of the dimension's base unit


BARE: Final = Unit("")  # a number that says no unit

# One line a dimension; each unit as "factor: words". Length in metres, mass in grams, time in seconds, data in bytes
# (decimal), power in watts, energy in watt-hours, volume in litres, area in square metres. Months and years are apart
# from days, whose number in them varies.
_UNITS: Final = """
percent= 1: % percent per\xa0cent prozent pourcent pour\xa0cent por\xa0ciento процент процента процентов | 0.1: ‰
usd= 1: $ usd us$ dollar dollars доллар долларов 美元 | 0.01: cent cents
eur= 1: € eur euro euros евро 欧元
gbp= 1: £ gbp pound pounds
jpy= 1: ¥ jpy yen 円 日元
cny= 1: cny yuan rmb 元
inr= 1: ₹ inr rupee rupees rs rs.
chf= 1: chf franken francs
aud= 1: a$ aud
cad= 1: c$ cad
time= 1: s sec secs second seconds sekunde sekunden seconde secondes segundos секунд 秒 | 60: min mins minute minutes
 minuten minutos минут 分钟 | 3600: h hr hrs hour hours stunde stunden heure heures hora horas часов часа 小时 時間
 | 86400: day days tag tage tagen jour jours día días dia dias giorni день дня дней 天 日間 | 604800: week weeks woche
 wochen semaine semaines semana semanas settimane недель недели 周 週間
months= 1: month months monat monate monaten mois mes meses mesi месяц месяца
 месяцев 个月 か月 ヶ月 | 3: quarters quartal
 | 12: year years yr yrs jahr jahre jahren ans année années año años anni anno лет год года 年 年間
length= 1: m metre metres meter meters mètre mètres metros метров 米 | 0.001: mm millimetre millimetres millimeters
 | 0.01: cm centimetre centimetres centimeter centimeters 厘米 | 1000: km kilometre kilometres kilometer kilometers
 kilómetros километров 公里 | 0.0254: inch inches | 0.3048: ft foot feet | 0.9144: yd yard yards
 | 1609.344: mi mile miles
mass= 1: g gram grams gramm | 0.001: mg milligram milligrams | 1000: kg kilo kilos kilogram kilograms kilogramm 公斤
 | 1e6: t tonne tonnes tons ton tonnen | 453.59237: lb lbs | 28.349523125: oz ounce ounces
data= 1: byte bytes | 1e3: kb | 1e6: mb megabyte megabytes | 1e9: gb gigabyte gigabytes | 1e12: tb terabyte terabytes
volume= 1: l litre litres liter liters | 0.001: ml millilitres milliliters
area= 1: m² sqm | 1e6: km² | 1e4: ha hectare hectares hektar | 4046.8564224: acre acres
power= 1: w watt watts | 1e3: kw kilowatt kilowatts | 1e6: mw megawatt megawatts | 1e9: gw gigawatt gigawatts
energy= 1: wh | 1e3: kwh | 1e6: mwh
voltage= 1: v volt volts
frequency= 1: hz hertz | 1e3: khz | 1e6: mhz | 1e9: ghz
celsius= 1: °c celsius
fahrenheit= 1: °f fahrenheit
degree= 1: ° degree degrees grad
century= 1: century centuries jahrhundert siècle siglo век века 世纪
"""


def _units() -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    for line in _UNITS.replace("\n ", " ").strip().split("\n"):
        dimension, rest = line.split("=", 1)
        for group in rest.split(" | "):
            factor, words = group.split(":", 1)
            for word in words.split(" "):
                if word:
                    found[word.replace("\xa0", " ")] = Unit(dimension, float(factor))
    return found


UNIT_WORDS: Final = _units()
