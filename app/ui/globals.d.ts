// Global objects of the third-party scripts that the pages load: plotly.js and Swagger UI. Only the calls that our scripts make.

interface PlotlyStatic {
  react(node: HTMLElement, traces: object[], layout: object, config: object): Promise<void>;
  purge(node: HTMLElement): void;
}

interface Window {
  Plotly?: PlotlyStatic;
}

declare function SwaggerUIBundle(options: object): object;
