import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { CalibrationBin, RocPoint } from './metrics.js';

const theme: TopLevelSpec['config'] = {
  font: 'system-ui, sans-serif',
  background: 'transparent',
  view: { stroke: null },
  axis: {
    labelColor: '#4a5565',
    titleColor: '#1c2430',
    gridColor: '#e5e9ef',
    domainColor: '#c3cad4',
    tickColor: '#c3cad4',
  },
};
const blue = '#2f6fb5';
const grey = '#9aa5b3';

/** Renders a vega-lite chart as SVG, without a browser. */
async function svg(spec: TopLevelSpec): Promise<string> {
  const view = new View(parse(compile({ ...spec, config: theme } as TopLevelSpec).spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

export interface NamedLoss {
  name: string;
  logLoss: number;
  chosen: boolean;
}

export function lossChart(losses: NamedLoss[], baseline: number): Promise<string> {
  return svg({
    width: 520,
    height: { step: 26 },
    data: { values: losses },
    layer: [
      {
        mark: { type: 'point', filled: true, size: 110 },
        encoding: {
          x: {
            field: 'logLoss',
            type: 'quantitative',
            title: 'log loss on validation flights (less is better)',
            scale: { zero: false },
          },
          y: { field: 'name', type: 'nominal', title: null, sort: { field: 'logLoss' } },
          color: { condition: { test: 'datum.chosen', value: blue }, value: grey },
        },
      },
      {
        data: { values: [{ baseline }] },
        mark: { type: 'rule', strokeDash: [4, 4], color: '#c0392b' },
        encoding: { x: { field: 'baseline', type: 'quantitative' } },
      },
    ],
  });
}

export function rocChart(curve: RocPoint[]): Promise<string> {
  return svg({
    width: 300,
    height: 300,
    layer: [
      {
        data: { values: curve },
        mark: { type: 'line', color: blue },
        encoding: {
          x: { field: 'falsePositives', type: 'quantitative', title: 'share of punctual flights warned about' },
          y: { field: 'truePositives', type: 'quantitative', title: 'share of late flights found' },
        },
      },
      {
        data: { values: [{ at: 0 }, { at: 1 }] },
        mark: { type: 'line', strokeDash: [4, 4], color: grey },
        encoding: { x: { field: 'at', type: 'quantitative' }, y: { field: 'at', type: 'quantitative' } },
      },
    ],
  });
}

export function calibrationChart(bins: CalibrationBin[]): Promise<string> {
  const most = Math.max(...bins.flatMap((bin) => [bin.predicted, bin.observed]));
  return svg({
    width: 300,
    height: 300,
    layer: [
      {
        data: { values: bins },
        mark: { type: 'point', filled: true, size: 70, color: blue },
        encoding: {
          x: {
            field: 'predicted',
            type: 'quantitative',
            title: 'predicted share of late flights',
            axis: { format: '%' },
          },
          y: { field: 'observed', type: 'quantitative', title: 'observed share', axis: { format: '%' } },
        },
      },
      {
        data: { values: [{ at: 0 }, { at: most }] },
        mark: { type: 'line', strokeDash: [4, 4], color: grey },
        encoding: { x: { field: 'at', type: 'quantitative' }, y: { field: 'at', type: 'quantitative' } },
      },
    ],
  });
}

export interface HourShare {
  hour: number;
  observed: number;
  predicted: number;
}

export function hourChart(hours: HourShare[]): Promise<string> {
  const values = hours.flatMap(({ hour, observed, predicted }) => [
    { hour, share: observed, what: 'observed' },
    { hour, share: predicted, what: 'predicted' },
  ]);
  return svg({
    width: 520,
    height: 220,
    data: { values },
    mark: { type: 'line', point: true },
    encoding: {
      x: { field: 'hour', type: 'quantitative', title: 'hour of departure', scale: { domain: [0, 23] } },
      y: { field: 'share', type: 'quantitative', title: 'share late', axis: { format: '%' } },
      color: { field: 'what', type: 'nominal', title: null, scale: { range: [grey, blue] } },
    },
  });
}

export interface Importance {
  feature: string;
  /** How much the log loss grows when the feature's values are shuffled among the flights. */
  increase: number;
}

export function importanceChart(importances: Importance[]): Promise<string> {
  return svg({
    width: 420,
    height: { step: 22 },
    data: { values: importances },
    mark: { type: 'bar', color: blue },
    encoding: {
      x: { field: 'increase', type: 'quantitative', title: 'growth of log loss when shuffled' },
      y: { field: 'feature', type: 'nominal', title: null, sort: '-x' },
    },
  });
}
