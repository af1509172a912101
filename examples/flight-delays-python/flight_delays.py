"""Will this flight arrive 15 minutes late? The pipeline of ../flight-delays, with flytekit and scikit-learn.

Predictions are made when the aircraft leaves the gate, from what is known then. Models learn from the earliest days, are
chosen by later ones, and are judged on the last ones.
"""

import base64
import functools
import io
import typing
from dataclasses import dataclass, field
from datetime import datetime

import joblib
import numpy as np
import pandas as pd
from flytekit import Deck, Resources, conditional, map_task, task, workflow
from flytekit.types.file import FlyteFile
from flytekit.types.structured.structured_dataset import StructuredDataset
from sklearn.base import ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score, roc_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

SEED = 20_010_101
LATE_FROM = 15
"""Minutes: the U.S. Department of Transportation's definition of a late arrival."""
PRIOR_WEIGHT, PRIOR_LATE = 10, 0.2
MEMORY = pd.Timedelta(hours=4)
FEATURES = [
    "minute_of_day",
    "day_of_week",
    "distance",
    "origin_latitude",
    "origin_longitude",
    "destination_latitude",
    "destination_longitude",
    "origin_size",
    "destination_size",
    "departures_last_hour",
    "landed_late_share",
    "landed_mean_delay",
]


@dataclass
class ModelConfig:
    name: str
    kind: str
    """logistic, forest or boosted"""
    size: int = 0
    depth: int = 0
    rate: float = 0.0


@dataclass
class Score:
    name: str
    log_loss: float
    auc: float


@dataclass
class Candidate:
    model: FlyteFile
    score: Score


@dataclass
class Choice:
    name: str
    log_loss: float
    baseline_log_loss: float
    gain: float
    """Share of the baseline's log loss that the model saves, on validation flights."""


@dataclass
class Evaluation:
    model: str
    flights: int
    log_loss: float
    baseline_log_loss: float
    auc: float
    brier: float


@dataclass
class Curves:
    false_positives: typing.List[float] = field(default_factory=list)
    true_positives: typing.List[float] = field(default_factory=list)
    predicted: typing.List[float] = field(default_factory=list)
    observed: typing.List[float] = field(default_factory=list)
    features: typing.List[str] = field(default_factory=list)
    importances: typing.List[float] = field(default_factory=list)


Splits = typing.NamedTuple(
    "Splits", training=StructuredDataset, validation=StructuredDataset, test=StructuredDataset
)


def surroundings(own: pd.DataFrame) -> pd.DataFrame:
    """How one airport is doing at each of its departures: what has happened there by then.

    Counts only flights that have surely landed: taxiing and a slow cruise on top of the distance, and any delay. All times
    are local to the airport, so time zones do not matter.
    """
    departure = own["date"].to_numpy("datetime64[s]").astype(np.int64) / 60
    landing = departure + 45 + own["distance"].to_numpy() / 6 + np.maximum(0, own["delay"].to_numpy())
    order = np.argsort(landing, kind="stable")
    landed_at = landing[order]
    late = np.concatenate([[0], np.cumsum(own["delay"].to_numpy()[order] >= LATE_FROM)])
    delay = np.concatenate([[0], np.cumsum(own["delay"].to_numpy()[order])])
    until = np.searchsorted(landed_at, departure, side="right")
    since = np.searchsorted(landed_at, departure - MEMORY.total_seconds() / 60, side="left")
    since = np.minimum(since, until)
    count = until - since
    return pd.DataFrame(
        {
            "departures_last_hour": np.arange(len(own)) - np.searchsorted(departure, departure - 60, side="left"),
            "landed_late_share": (late[until] - late[since] + PRIOR_WEIGHT * PRIOR_LATE) / (count + PRIOR_WEIGHT),
            "landed_mean_delay": (delay[until] - delay[since]) / (count + PRIOR_WEIGHT),
        },
        index=own.index,
    )


@task(cache=True, cache_version="1", requests=Resources(cpu="1", mem="2Gi"))
def load(flights: FlyteFile, airports: FlyteFile, rows: int) -> StructuredDataset:
    """Reads all flights, drops impossible ones, and makes the features of a sample of them."""
    places = pd.read_csv(airports).set_index("iata")[["latitude", "longitude"]]
    frame = pd.read_parquet(flights)
    possible = (
        (frame["distance"] > 0)
        & frame["delay"].between(-120, 24 * 60)
        & frame["origin"].isin(places.index)
        & frame["destination"].isin(places.index)
    )
    frame = frame[possible].sort_values(["origin", "date"], kind="stable").reset_index(drop=True)
    around = pd.concat(surroundings(own) for _, own in frame.groupby("origin", sort=False))
    size = np.log10(1 + frame["origin"].value_counts())
    chosen = frame.sample(min(rows, len(frame)), random_state=SEED).sort_index()
    table = pd.DataFrame(
        {
            "day": chosen["date"].dt.normalize(),
            "minute_of_day": chosen["date"].dt.hour * 60 + chosen["date"].dt.minute,
            "day_of_week": chosen["date"].dt.dayofweek,
            "distance": chosen["distance"],
            "origin_size": chosen["origin"].map(size),
            "destination_size": chosen["destination"].map(size).fillna(0),
            "late": (chosen["delay"] >= LATE_FROM).astype(int),
        }
    ).join(around)
    for end in ("origin", "destination"):
        for axis in ("latitude", "longitude"):
            table[f"{end}_{axis}"] = chosen[end].map(places[axis])
    return StructuredDataset(dataframe=table)


@task(cache=True, cache_version="1")
def split(table: StructuredDataset, validation_from: datetime, test_from: datetime) -> Splits:
    """Splits by time, so that no model sees anything of the days it is judged by."""
    frame = table.open(pd.DataFrame).all()
    validation, test = (pd.Timestamp(date).tz_localize(None) for date in (validation_from, test_from))
    day = frame["day"]
    parts = [frame[day < validation], frame[(day >= validation) & (day < test)], frame[day >= test]]
    for name, part in zip(Splits._fields, parts):
        if len(part) < 100:
            raise ValueError(f"the {name} part has {len(part)} flights; sample more, or move the dates")
    return Splits(*(StructuredDataset(dataframe=part.reset_index(drop=True)) for part in parts))


@workflow
def prepare(
    flights: FlyteFile, airports: FlyteFile, rows: int, validation_from: datetime, test_from: datetime
) -> Splits:
    """From the raw files to three tables of features."""
    table = load(flights=flights, airports=airports, rows=rows)
    training, validation, test = split(table=table, validation_from=validation_from, test_from=test_from)
    return training, validation, test


def examples(data: StructuredDataset) -> typing.Tuple[pd.DataFrame, np.ndarray]:
    frame = data.open(pd.DataFrame).all()
    return frame[FEATURES], frame["late"].to_numpy()


def new_model(config: ModelConfig) -> ClassifierMixin:
    if config.kind == "logistic":
        return make_pipeline(SplineTransformer(), StandardScaler(), LogisticRegression(C=config.rate, max_iter=500))
    if config.kind == "forest":
        return RandomForestClassifier(
            n_estimators=config.size, max_depth=config.depth, min_samples_leaf=20, random_state=SEED
        )
    if config.kind == "boosted":
        return HistGradientBoostingClassifier(
            max_iter=config.size,
            max_depth=config.depth,
            learning_rate=config.rate,
            early_stopping=False,
            random_state=SEED,
        )
    raise ValueError(f"kind must be logistic, forest or boosted, but it is {config.kind!r}")


def candidate(name: str, model: ClassifierMixin, validation: StructuredDataset, path: str) -> Candidate:
    features, late = examples(validation)
    probability = model.predict_proba(features)[:, 1]
    joblib.dump(model, path)
    score = Score(name, float(log_loss(late, probability)), float(roc_auc_score(late, probability)))
    return Candidate(FlyteFile(path), score)


@task
def list_candidates() -> typing.List[ModelConfig]:
    """What is trained; a task, because pyflyte's command line takes no dataclasses as defaults."""
    return [
        ModelConfig("logistic", "logistic", rate=1.0),
        ModelConfig("forest of 60", "forest", size=60, depth=10),
        ModelConfig("boosted, depth 2", "boosted", size=150, depth=2, rate=0.1),
        ModelConfig("boosted, depth 4", "boosted", size=120, depth=4, rate=0.1),
        ModelConfig("boosted, depth 6", "boosted", size=100, depth=6, rate=0.08),
    ]


@task(cache=True, cache_version="1")
def baseline(training: StructuredDataset, validation: StructuredDataset) -> Candidate:
    """What a model must beat: everybody gets the share of late flights of the training days."""
    return candidate("baseline", DummyClassifier(strategy="prior").fit(*examples(training)), validation, "baseline.joblib")


@task(cache=True, cache_version="1", requests=Resources(cpu="1", mem="1Gi"), retries=1)
def train_model(config: ModelConfig, training: StructuredDataset, validation: StructuredDataset) -> Candidate:
    """One candidate, trained and scored."""
    return candidate(config.name, new_model(config).fit(*examples(training)), validation, "model.joblib")


@task(cache=True, cache_version="1")
def choose_best(
    candidates: typing.List[Candidate], base: Candidate
) -> typing.NamedTuple("Best", model=FlyteFile, choice=Choice, gain=float):
    """The candidate with the least log loss on validation flights."""
    best = min(candidates, key=lambda entry: entry.score.log_loss)
    gain = 1 - best.score.log_loss / base.score.log_loss
    return best.model, Choice(best.score.name, best.score.log_loss, base.score.log_loss, gain), gain


@task(cache=True, cache_version="1")
def evaluate(
    choice: Choice, use_model: bool, model: FlyteFile, base: Candidate, training: StructuredDataset, test: StructuredDataset
) -> typing.NamedTuple("Judged", evaluation=Evaluation, curves=Curves):
    """The model, or the baseline, on flights that nothing has seen."""
    fitted = joblib.load(model if use_model else base.model)
    features, late = examples(test)
    probability = fitted.predict_proba(features)[:, 1]
    rate = examples(training)[1].mean()
    importance = permutation_importance(
        fitted, features, late, scoring="neg_log_loss", n_repeats=1, random_state=SEED
    )
    false_positives, true_positives, _ = roc_curve(late, probability)
    thin = np.linspace(0, len(false_positives) - 1, 100).astype(int)
    tenths = np.array_split(np.argsort(probability, kind="stable"), 10)
    return (
        Evaluation(
            choice.name if use_model else "baseline",
            len(late),
            float(log_loss(late, probability)),
            float(log_loss(late, np.full(len(late), rate))),
            float(roc_auc_score(late, probability)),
            float(brier_score_loss(late, probability)),
        ),
        Curves(
            false_positives[thin].tolist(),
            true_positives[thin].tolist(),
            [float(probability[tenth].mean()) for tenth in tenths],
            [float(late[tenth].mean()) for tenth in tenths],
            FEATURES,
            importance.importances_mean.tolist(),
        ),
    )


@task(cache=True, cache_version="1", enable_deck=True)
def report(candidates: typing.List[Candidate], choice: Choice, evaluation: Evaluation, curves: Curves) -> FlyteFile:
    """A page for people."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, ((losses, roc), (calibration, importance)) = plt.subplots(2, 2, figsize=(11, 8), constrained_layout=True)
    scores = sorted((entry.score for entry in candidates), key=lambda score: -score.log_loss)
    losses.scatter([score.log_loss for score in scores], [score.name for score in scores])
    losses.axvline(choice.baseline_log_loss, color="firebrick", linestyle="--")
    losses.set_xlabel("log loss on validation flights (less is better; dashed: baseline)")
    roc.plot(curves.false_positives, curves.true_positives)
    roc.plot([0, 1], [0, 1], color="grey", linestyle="--")
    roc.set(xlabel="share of punctual flights warned about", ylabel="share of late flights found")
    most = max(curves.predicted + curves.observed)
    calibration.scatter(curves.predicted, curves.observed)
    calibration.plot([0, most], [0, most], color="grey", linestyle="--")
    calibration.set(xlabel="predicted share of late flights", ylabel="observed share")
    order = np.argsort(curves.importances)
    importance.barh([curves.features[i] for i in order], [curves.importances[i] for i in order])
    importance.set_xlabel("growth of log loss when shuffled")
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    page = (
        f"<h2>Will this flight arrive {LATE_FROM} minutes late?</h2>"
        f"<p><b>{evaluation.model}</b> on {evaluation.flights:,} unseen flights: log loss {evaluation.log_loss:.4f} "
        f"(baseline {evaluation.baseline_log_loss:.4f}), area under the ROC curve {evaluation.auc:.3f}, "
        f"Brier score {evaluation.brier:.4f}.</p>"
        f'<img alt="candidates, ROC curve, calibration, importance" src="data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}">'
    )
    Deck("report", page)
    with open("report.html", "w", encoding="utf-8") as file:
        file.write(page)
    return FlyteFile("report.html")


@workflow
def pipeline(
    flights: FlyteFile,
    airports: FlyteFile,
    rows: int = 100_000,
    validation_from: datetime = datetime(2001, 5, 1),
    test_from: datetime = datetime(2001, 6, 1),
    least_gain: float = 0.02,
) -> typing.NamedTuple("Result", evaluation=Evaluation, choice=Choice, page=FlyteFile):
    """Predicts at departure whether a flight will arrive 15 minutes late, and says how well."""
    training, validation, test = prepare(
        flights=flights, airports=airports, rows=rows, validation_from=validation_from, test_from=test_from
    )
    base = baseline(training=training, validation=validation)
    candidates = map_task(
        functools.partial(train_model, training=training, validation=validation), concurrency=2
    )(config=list_candidates())
    model, choice, gain = choose_best(candidates=candidates, base=base)
    # A model that hardly beats the baseline is not worth running: then the baseline itself goes on.
    judge = functools.partial(evaluate, choice=choice, model=model, base=base, training=training, test=test)
    evaluation, curves = (
        conditional("is_it_better")
        .if_(gain > least_gain)
        .then(judge(use_model=True))
        .else_()
        .then(judge(use_model=False))
    )
    page = report(candidates=candidates, choice=choice, evaluation=evaluation, curves=curves)
    return evaluation, choice, page
