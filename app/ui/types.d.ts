// Types shared by the page's scripts: page elements, and the API's answers as far as the scripts read them.

export type Child = Node | string | number | false | null | undefined | readonly Child[];

/** One column of a table: its heading, the content of a cell, and "number" for right-aligned figures. */
export type Column<Row> = [heading: string, cell: (row: Row) => Child, kind?: "number"];

export interface SortableColumn<Row> {
  heading: string;
  value: (row: Row) => string | number | null;
  cell: (row: Row) => Child;
  kind?: "number";
}

/** Sorting and number of visible rows of a sortable table. */
export interface TableView {
  sortedBy: string | null;
  descending: boolean;
  visibleRows: number;
}

export type Links = Record<string, string>;

export interface Page<Item> {
  data: Item[];
  links: { self: string; next: string | null };
}

export interface FieldError {
  param: string;
  message: string;
}

/** RFC 9457 problem document. */
export interface Problem {
  detail?: string;
  code?: string;
  errors?: FieldError[];
  request_id?: string;
}

// Jobs

export type JobState = "queued" | "running" | "canceling" | "succeeded" | "failed" | "canceled";

export interface Progress {
  title: string;
  done: number;
  total: number;
  eta_seconds?: number | null;
  tasks?: { done: number; total: number; workers: number } | null;
  overall?: OverallProgress | null;
}

/** Progress of a job over all its stages. */
export interface OverallProgress {
  share_done: number;
  eta_seconds: number | null;
}

export interface JobStage {
  stage: string;
  part?: string | null;
  title: string;
  state: string;
  expected_seconds: number | null;
  seconds?: number | null;
}

export interface LibrarySpec {
  id?: string | null;
  kind?: string | null;
  concept_count?: number | null;
  parts?: { kind: string; concept_count: number }[];
}

/** How visual elements are cut; scales are patches per side of each grid. */
export interface Elements {
  kind: "patches" | "segments" | "patches_and_segments";
  images_per_class: number | null;
  scales?: number[];
}

export interface StageUsage {
  device: string | null;
  peak_memory_bytes: number | null;
  gpu_peak_memory_bytes: number | null;
  fetched_bytes: number | null;
  stored_bytes: number | null;
}

/** What a job used, over all its stages and by stage. */
export interface JobUsage extends StageUsage {
  queue_seconds: number | null;
  run_seconds: number | null;
  stage_seconds: Record<string, number> | null;
  stages: Record<string, StageUsage> | null;
}

interface CommonJob {
  id: string;
  name: string | null;
  tags: string[];
  state: JobState;
  model: string | null;
  model_name: string | null;
  dataset: string;
  dataset_name: string | null;
  progress: Progress | null;
  stages?: JobStage[] | null;
  queue_position?: number | null;
  usage?: JobUsage | null;
  error: { code: string; message: string; param: string | null } | null;
  created_at: string;
  succeeded_at: string | null;
  canceled_at: string | null;
  links: Links;
}

/** What a score retains, and every accuracy of it is. */
export type Quantity = "accuracy" | "mean_average_precision";

/** The main numbers of a score. */
export interface ScoreSummary {
  quantity?: Quantity;
  verdict: VerdictCode | null;
  accuracy: number | null;
  few_concepts_mean: number | null;
  iis: number | null;
  iis_low: number | null;
  iis_high: number | null;
  gain_isotropic: number | null;
  gain_matched: number | null;
}

export interface ScoreJob extends CommonJob {
  kind: "score";
  summary: ScoreSummary | null;
  vlm?: string | null;
  vocabulary?: string | { id: string; version: number } | null;
  library: LibrarySpec;
  library_dataset?: string | null;
  elements: Elements;
  protocol: "exact" | "reference";
  activations?: string;
  seed?: number;
}

export interface ExplainJob extends CommonJob {
  kind: "explain";
  job: string;
  split: "test" | null;
  summary: ExplainSummary | null;
}

export interface ExplainSummary {
  count: number;
  failed: number;
  agreement: number;
}

export interface FinetuneSummary {
  accuracy_before: number | null;
  accuracy_after: number | null;
  iis_before: number | null;
  iis_after: number | null;
  iis_over_control: number | null;
  iis_over_control_low: number | null;
  iis_over_control_high: number | null;
}

export interface FinetuneJob extends CommonJob {
  kind: "finetune";
  library: LibrarySpec;
  elements: Elements;
  lambda: number;
  summary: FinetuneSummary | null;
}

export type Job = ScoreJob | ExplainJob | FinetuneJob;

export interface StageEvent {
  title: string;
  state: string;
  seconds?: number | null;
}

export interface StateEvent {
  state: JobState;
  attempt: number;
}

export interface JobEvents {
  state: StateEvent;
  stage: StageEvent;
  progress: Progress;
  epoch: EpochEvent;
}

// Results

export type VerdictCode =
  | "reads_through_concepts"
  | "no_better_than_matched"
  | "worse_than_any"
  | "too_close_to_chance"
  | "too_few_images"
  | "not_comparable";

export interface Verdict {
  code: VerdictCode;
  sentence: string;
  next?: string[];
}

export interface PanelMetrics {
  code: { kept: number; concepts_used: number; overlap: number; positive_share: number };
  effective_rank: number;
  mono_score: number | null;
  class_purity: number;
  firing_rate: number;
  duplicated_share: number;
}

export interface Panel {
  concept_count: number;
  library: PanelMetrics;
  matched: PanelMetrics;
  stability: { cosine: number; matched_cosine: number; difference: number } | null;
  effective_concepts: { anec: number; matched_anec: number };
  contributing_concepts: { kept: number; ncc: number } | null;
  selectivity: { arr: number; control_arr: number; difference: number };
}

export interface Control {
  iis?: number | null;
  iis_low?: number | null;
  iis_high?: number | null;
  gain?: number | null;
  gain_low?: number | null;
  gain_high?: number | null;
  headroom_gain?: number | null;
  headroom_gain_low?: number | null;
  headroom_gain_high?: number | null;
  iis_log?: number | null;
  iis_log_low?: number | null;
  iis_log_high?: number | null;
  few_mean?: number | null;
  few_mean_low?: number | null;
  few_mean_high?: number | null;
  few_gain?: number | null;
  few_gain_low?: number | null;
  few_gain_high?: number | null;
}

export interface ModelConfiguration {
  architecture?: string;
  arguments?: Record<string, unknown>;
  preprocessing?: Record<string, unknown>;
  layer?: string | null;
  pooling?: string | null;
  weights_sha256?: string;
}

export interface Report {
  iis: number | null;
  iis_low?: number | null;
  iis_high?: number | null;
  edition?: number;
  protocol?: string;
  few_concepts_mean?: number | null;
  few_concepts_mean_low?: number | null;
  few_concepts_mean_high?: number | null;
  controls?: { isotropic?: Control | null; matched?: Control | null };
  verdict?: Verdict | null;
  quantity?: Quantity;
  balanced?: { accuracy: number; iis?: number | null; few_mean?: number | null } | null;
  panel?: Panel | null;
  configuration?: { model?: ModelConfiguration | null; dataset?: { content_sha256?: string } | null; [setting: string]: unknown };
  notes?: string[];
  iis_chance_corrected?: number | null;
  iis_chance_corrected_low?: number | null;
  iis_chance_corrected_high?: number | null;
  iis_log?: number | null;
  iis_log_low?: number | null;
  iis_log_high?: number | null;
  iis_authors?: number | null;
  accuracy_representation: number;
  accuracy_representation_low?: number | null;
  accuracy_representation_high?: number | null;
  accuracy_trained?: number | null;
  chance?: number | null;
  few_concepts?: Record<string, number> | null;
  train_count?: number | null;
  test_count?: number;
  class_names?: string[];
  dimension?: number;
  library?: (LibrarySpec & { elements?: Elements | null }) | null;
  warnings?: string[];
}

export interface ScoreResult {
  kind: "score";
  library: string | null;
  report: Report;
  links: Links;
}

export interface ExplainResult {
  kind: "explain";
  kept: number;
  summary: {
    count: number;
    failed: number;
    agreement: number;
    accuracy_representation: number | null;
    accuracy_interpretation: number | null;
  };
}

export interface Difference {
  values: (number | null)[];
  mean: number | null;
  low: number | null;
  high: number | null;
}

export type ArmPair = "treatment_minus_control" | "treatment_minus_probe" | "control_minus_probe";
export type Measure = "accuracy" | "iis" | "accuracy_trained";
export type Arm = "treatment" | "control";

export interface Epoch {
  epoch: number;
  loss: number | null;
  loss_representation: number | null;
  loss_interpretation: number | null;
  validation_accuracy: number | null;
  validation_accuracy_interpretation: number | null;
}

export interface EpochEvent extends Epoch {
  arm: Arm;
  seed: number;
}

export interface FinetuneRun {
  seed: number;
  best_epoch: number;
  epochs: number;
  report: Report;
}

export interface FinetuneResult {
  kind: "finetune";
  probe: Report;
  treatment: FinetuneRun[];
  control: FinetuneRun[];
  differences: Record<"accuracy" | "iis", Record<ArmPair, Difference>> & { accuracy_trained?: Record<ArmPair, Difference> | null };
  history: { arm: Arm; seed: number; epochs: Epoch[] }[];
  words: string[];
  warnings: string[];
  links: Links;
}

export interface CurvePoint {
  sparsity: number;
  kept: number;
  accuracy: number;
  accuracy_low: number;
  accuracy_high: number;
  arr: number;
  arr_low: number;
  arr_high: number;
  arr_chance_corrected: number | null;
}

export interface Curves {
  data: { name: string; points: CurvePoint[] }[];
  links: Links;
}

/** Reports and curves of several jobs. */
export interface Comparison {
  data: { job: string; report: Report; curves: Curves["data"] }[];
}

export interface Plots {
  data: { name: string; format: string; links: Links }[];
}

export interface Predictor {
  id: string;
  kept: number;
  accuracy: number;
  arr: number;
  links: Links;
}

/** Options of an ARR plot. */
export interface CurveOptions {
  axis: "sparsity" | "kept";
  corrected: boolean;
}

export interface LineStyle {
  colour: string;
  dash: string;
  symbol: string;
}

export interface CurveSeries {
  name: string;
  points: CurvePoint[];
  style?: () => LineStyle;
}

// Explanations

export interface ClassProbability {
  class: string;
  probability: number;
}

export interface Prediction extends ClassProbability {
  top: ClassProbability[];
}

export interface Exemplar {
  image?: string | null;
  similarity?: number;
  crop?: string | null;
  url?: string;
}

/** Fields by which a concept is named; `activation` where it is shown for one image. */
export interface NamedConcept {
  label?: string | null;
  concept?: number;
  index?: number;
  activation?: number;
}

export interface Contribution {
  concept: number;
  label: string | null;
  exemplars: Exemplar[];
  activation: number;
  contribution: number;
  links: Links;
}

export interface CurveNode {
  kept: number;
  sparsity: number;
}

export interface Faithfulness {
  counts: number[];
  deletion: number[];
  deletion_random: number[];
  sufficiency: number[];
  sufficiency_random: number[];
}

/** A label of an image of multi-label data, with the contributions to it. */
export interface LabelExplanation extends ClassProbability {
  is_true: boolean | null;
  logit: number;
  bias: number;
  supporting: Contribution[];
  opposing: Contribution[];
}

export interface Explanation extends CurveNode {
  job: string;
  image: { id: string; index: number | null; name: string | null; label: string | null; labels?: string[] | null; size?: [height: number, width: number] | null };
  concept_count: number;
  nodes: CurveNode[];
  class_names: string[];
  representation: Prediction;
  interpretation: Prediction;
  agree: boolean;
  correct: { representation: boolean; interpretation: boolean } | null;
  explained: { class: string };
  contrast: { class: string } | null;
  logit: number;
  bias: number;
  supporting: Contribution[];
  opposing: Contribution[];
  remainder: number;
  remaining: number;
  faithfulness: Faithfulness;
  counterfactual: (ClassProbability & { removed: NamedConcept[] }) | null;
  labels?: LabelExplanation[] | null;
  heatmaps: { available: boolean; note: string };
  novelty?: Novelty | null;
  links: Links;
}

/** Distance of an image from the training images. */
export interface Novelty {
  distance: number;
  typical_distance: number;
  p_value: number;
  unlike: boolean;
  training_images: number;
}

export interface HeatMap {
  concept: number;
  values: number[][];
  note: string;
}

export interface HeatMapList {
  data: HeatMap[];
}

export interface ExplainedImage {
  index: number;
  name: string | null;
  label: string | null;
  labels?: string[] | null;
  representation: ClassProbability;
  interpretation: ClassProbability;
  links: Links;
}

/** A change to one concept: a factor on its activation, or another activation. */
export type ConceptChange = { factor: number; activation?: undefined } | { factor?: undefined; activation: number };

export interface InterventionRequest {
  kept: number;
  set: { concept: number; activation: number }[];
  scale: { concept: number; factor: number }[];
  suppress: number[];
}

export interface InterventionResult {
  before: ClassProbability;
  after: ClassProbability;
  changed: boolean;
  probabilities: { class: string; before: number; after: number }[];
}

// Classes and concepts of a job

/** Null without a test image of the class or label. */
export interface Accuracies {
  representation: number | null;
  interpretation: number | null;
}

export interface ClassSummary {
  quantity?: "accuracy" | "average_precision";
  class: string;
  test_images: number;
  accuracy: Accuracies;
}

export interface ClassList {
  data: ClassSummary[];
  kept: number;
  concept_count: number;
  confusion?: Record<"representation" | "interpretation", number[][]> | null;
}

export interface WeightedConcept {
  concept: number;
  label: string | null;
  exemplars: Exemplar[];
  weight: number;
  mean_contribution: number;
}

export interface ClassProfile extends ClassSummary {
  bias: number;
  supporting: WeightedConcept[];
  opposing: WeightedConcept[];
  confused_with: { class: string; count: number }[];
  links: Links;
}

export interface ClassWeight {
  class: string;
  weight: number;
}

export interface ActivatingImage {
  index: number;
  label: string | null;
  labels?: string[] | null;
  activation: number;
  links: Links;
}

export interface ConceptUse {
  concept: number;
  label: string | null;
  origin: string;
  exemplars: Exemplar[];
  firing_rate: number;
  never_fires: boolean;
  importance: number;
  duplicates?: { concept: number; label: string | null; cosine: number }[];
}

export interface ConceptMetric {
  concept: number;
  mono_score: number | null;
  class_purity: number;
  top_class: string;
  firing_rate: number;
}

export interface ConceptProfile extends ConceptUse {
  serves: ClassWeight[];
  hinders: ClassWeight[];
  top_images: ActivatingImage[];
  histogram?: { edges: number[]; counts: number[] } | null;
  levels?: Record<"high" | "middle" | "low", ActivatingImage[]> | null;
}

export type Statistic = string | number | null;

export interface ConceptNames {
  names: { phrase: string; score: number; cosine: number }[];
  margin: number;
  named: boolean;
}

export interface LibraryConcept {
  index: number;
  label: string | null;
  origin: string;
  exemplars: Exemplar[];
  details: ConceptNames | Record<string, Statistic> | null;
}

/** A concept of the library with its use and metrics, as far as the job has them. */
export interface ListedConcept extends LibraryConcept {
  importance: number | null;
  firing_rate: number | null;
  never_fires: boolean;
  class_purity: number | null;
  mono_score: number | null;
  top_class: string | null;
  duplicates: number[];
  phrases: string[];
}

export interface DroppedPhrase {
  text: string;
  reason: string;
  details: Record<string, Statistic>;
}

// Models, data sets, concept sets and uploads

interface Validated {
  id: string;
  name: string;
  state: "pending" | "ready" | "failed";
  error: { message: string; param?: string | null } | null;
  info?: { notes?: string[] } | null;
  links: Links;
}

interface Described {
  tags: string[];
  notes: string | null;
  digest: string | null;
  created_at: string;
}

export interface Model extends Validated, Described {
  role: "backbone" | "vlm";
  architecture: string;
  arguments: Record<string, unknown>;
  pretrained: string | null;
  initial_seed: number | null;
  layer: string | null;
  pooling: string | null;
  lineage: { job: string; parent: string; seed: number; epoch: number; weight: number } | null;
  info: {
    num_features?: number | null;
    input_size?: number[] | null;
    parameter_count?: number | null;
    preprocessing?: Record<string, unknown> | null;
    notes?: string[];
  } | null;
}

export interface Dataset extends Validated, Described {
  kind: "images" | "features";
  split_seed: number;
  test_share: number;
  info: {
    class_names?: string[];
    train?: number | null;
    test?: number | null;
    counts?: { train: Record<string, number>; test: Record<string, number> };
    corrupt_count?: number | null;
    corrupt?: string[] | null;
    corrupt_reasons?: Record<string, number> | null;
    ignored_count?: number | null;
    num_features?: number | null;
    warnings?: string[];
    notes?: string[];
  } | null;
}

/** Numbers of the rows that use a model or data set. */
export interface Uses {
  unfinished_jobs: number;
  finished_jobs: number;
  studies: number;
  concept_libraries: number;
  deletable: boolean;
}

export interface ConceptSet {
  id: string;
  name: string;
  description: string | null;
  origin: string;
  latest_version: number;
  versions: number;
  created_at: string | null;
  links: Links;
}

export interface ConceptSetVersion {
  number: number;
  state: string;
  error: { message: string } | null;
  phrase_count: number;
  dropped_count: number;
  dropped: { text: string; reason: string; other: string | null }[];
  created_at: string | null;
  links: Links;
}

export interface Phrase {
  text: string;
  group: string | null;
}

export interface ConceptLibrary {
  id: string;
  name: string | null;
  tags: string[];
  notes: string | null;
  job: string;
  model: string | null;
  dataset: string;
  kind: string;
  settings: LibrarySpec;
  concept_count: number;
  dimension: number;
  created_at: string;
  links: Links;
}

// Webhooks

export interface Webhook {
  id: string;
  url: string;
  description: string | null;
  events: string[] | null;
  enabled: boolean;
  disabled_reason: string | null;
  created_at: string;
  links: Links;
}

export interface CreatedWebhook extends Webhook {
  secret: string | null;
}

export interface Delivery {
  type: string;
  state: string;
  attempts: number;
  last_status: number | null;
  last_error: string | null;
  created_at: string;
  links: Links;
}

export interface Upload {
  id: string;
  state: "open" | "complete";
  parts: { number: number; size_bytes: number }[];
  links: Links;
}

export interface UploadPart {
  number: number;
  start: number;
  size: number;
}

export interface UploadProgress {
  phase: "hashing" | "sending" | "joining";
  done: number;
  total: number;
}

// Keys, quotas and leaderboards

export interface ApiKey {
  name: string;
  hint: string;
  scopes: string[];
  expires_at: string | null;
  last_used_at: string | null;
  revoked_at: string | null;
  retired_secrets: { hint: string; expires_at: string }[];
  links: Links;
}

export interface CreatedKey extends ApiKey {
  secret: string | null;
}

export interface Quota {
  limit: number | null;
  used: number;
}

export interface Quotas {
  stored_bytes: Quota;
  open_uploads: Quota;
  unfinished_jobs: Quota;
  jobs_per_day: Quota;
  pending_validations: Quota;
}

export interface Board {
  board: string;
  dataset_name: string;
  library: string;
  concept_count: number;
  protocol: string;
  edition: number;
  quantity?: Quantity;
  details: string | null;
  models: number;
}

export interface BoardEntry {
  rank: number | null;
  tied: boolean;
  name: string;
  job: string;
  iis: number | null;
  iis_low: number | null;
  iis_high: number | null;
  accuracy: number;
  verdict: VerdictCode | null;
  few_concepts_mean: number | null;
  few_gain_matched: number | null;
  few_gain_matched_low: number | null;
  few_gain_matched_high: number | null;
  gain_isotropic: number | null;
  gain_isotropic_low: number | null;
  gain_isotropic_high: number | null;
  gain_matched: number | null;
  gain_matched_low: number | null;
  gain_matched_high: number | null;
  near_chance: boolean;
  jobs: number;
}

export interface Leaderboard {
  board: Board | null;
  data: BoardEntry[];
  boards: Board[];
  notes: string[];
}

// Studies

export interface JobCounts {
  total: number;
  queued: number;
  running: number;
  canceling: number;
  succeeded: number;
  failed: number;
  canceled: number;
}

export interface StudyGrid {
  models: unknown[];
  datasets: string[];
  libraries: LibrarySpec[];
  concept_counts: number[] | null;
  sparsity_grids: number[][];
  seeds: number[];
  protocol: "exact" | "reference";
  activations: "calibrated" | "layernorm";
  evolution: boolean;
}

export interface Study {
  id: string;
  name: string;
  state: "running" | "finished";
  jobs: JobCounts;
  grid: StudyGrid;
  created_at: string;
  links: Links;
}

export interface StudyCell {
  job: string;
  state: JobState;
  error: { message: string } | null;
  label: string;
  dataset_name: string;
  library: string;
}

export interface StudyRow {
  job: string;
  label: string;
  epoch: number | null;
  dataset: string;
  dataset_name: string;
  library: string;
  concept_count: number;
  library_dataset: string | null;
  library_dataset_name: string | null;
  seed: number;
  quantity?: Quantity;
  accuracy: number;
  accuracy_low: number;
  accuracy_high: number;
  near_chance: boolean;
  iis: number | null;
  iis_low: number | null;
  iis_high: number | null;
  edition: number;
  verdict: VerdictCode | null;
  few_concepts_mean: number | null;
  iis_isotropic: number | null;
  iis_matched: number | null;
  gain_isotropic: number | null;
  gain_isotropic_low: number | null;
  gain_isotropic_high: number | null;
  gain_matched: number | null;
  gain_matched_low: number | null;
  gain_matched_high: number | null;
  few_gain_isotropic: number | null;
  few_gain_isotropic_low: number | null;
  few_gain_isotropic_high: number | null;
  few_gain_matched: number | null;
  few_gain_matched_low: number | null;
  few_gain_matched_high: number | null;
  iis_log: number | null;
}

/** A value with its 95 % interval. */
export interface Measurement {
  value: number;
  low: number;
  high: number;
}

/** A statistic over models; `reason` says why an undefined one has no value. */
/** Cost of jobs before they are submitted. */
export interface CostEstimate {
  jobs: number;
  reused: number;
  images: number | null;
  seconds: number | null;
  basis: string;
}

export interface Estimate {
  n: number;
  value: number | null;
  low: number | null;
  high: number | null;
  p: number | null;
  p_holm: number | null;
  reason: string | null;
}

/** The models of one comparison share data set, library, M, the library's data set, the edition of the activations and what is retained. */
export interface Setting {
  dataset_name: string;
  library?: string | null;
  concept_count?: number | null;
  library_dataset?: string | null;
  library_dataset_name?: string | null;
  edition?: number;
  quantity?: Quantity;
}

export interface ExcludedModels {
  left_out: { label: string; reason: string }[];
}

export interface RelationPoint {
  label: string;
  accuracy: Measurement;
  iis: Measurement | null;
  few_gain_matched: Measurement | null;
  gain_matched: Measurement | null;
  gain_isotropic: Measurement | null;
}

export interface Correlations {
  spearman: Estimate;
  kendall: Estimate;
  partial: { denominator: Estimate; isotropic: Estimate; matched: Estimate };
  controls: { isotropic: Estimate; matched: Estimate };
  gains: { few_gain_matched: Estimate; gain_matched: Estimate; few_gain_isotropic: Estimate; gain_isotropic: Estimate };
  leave_one_family_out: { family: string; spearman: Estimate }[];
  sentences: string[];
}

export interface Relation extends Setting, ExcludedModels {
  n: number;
  points: RelationPoint[];
  accuracy: Correlations | null;
  given_accuracy: Correlations | null;
}

export interface EvolutionPoint extends RelationPoint {
  epoch: number;
  near_chance: boolean;
}

export interface Evolution extends Setting {
  epochs_given: boolean;
  points: EvolutionPoint[];
  sentence: string;
}

export interface ConceptCounts extends Setting, ExcludedModels {
  default: number;
  concept_counts: number[];
  models: { label: string; values: { concept_count: number; iis: Measurement }[] }[];
  order: { concept_count: number; spearman: Estimate; kendall: Estimate; n: number }[];
}

export interface SparsityGrids extends Setting, ExcludedModels {
  grids: { sparsities: number[]; spearman: Estimate; kendall: Estimate; interpolated: number[]; sentence: string | null }[];
}

export interface LibraryAgreement extends Setting, ExcludedModels {
  pairs: { a: string; b: string; spearman: Estimate; kendall: Estimate; n: number }[];
}

export interface PairedModels extends Setting, Partial<ExcludedModels> {
  sentence: string | null;
  models: PairedModel[];
}

/** A model scored in two ways, by the names of the ways: own and other, or trained and untrained. */
export interface PairedModel {
  label: string;
  own?: Measurement | null;
  other?: Measurement | null;
  trained?: Measurement | null;
  untrained?: Measurement | null;
  difference: Measurement | null;
  reason?: string | null;
}

export interface Analysis {
  relation: Relation[];
  evolution: Evolution[];
  concept_counts: ConceptCounts[];
  sparsity_grids: SparsityGrids[];
  agreement: LibraryAgreement[];
  transfer: PairedModels[];
  untrained: PairedModels[];
  warnings: string[];
}

// Share links

export interface ShareTarget {
  job?: string;
  study?: string;
  concept?: number;
  image?: number;
  kept?: number;
  contrast?: string;
}

export interface Share {
  id: string;
  kind: "result" | "concept" | "image" | "study";
  title: string;
  job: string | null;
  study: string | null;
  concept: number | null;
  image: number | null;
  hint: string;
  created_at: string;
  expires_at: string;
  last_used_at: string | null;
  score: Pick<ScoreJob, "model_name" | "dataset_name" | "library" | "elements" | "protocol" | "activations" | "created_at" | "succeeded_at"> | null;
  grid: StudyGrid | null;
  links: Links;
}

export interface CreatedShare extends Share {
  token: string | null;
  path: string | null;
}
