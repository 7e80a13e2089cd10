//! Tensors of the Open Inference Protocol v2, JSON form: parsed into the bytes that a model takes, and back.

use super::engine::Port;
use samara_runtime::Dtype;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A parsed request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Given back with the answer.
    pub id: Option<String>,
    /// Inputs in any order.
    pub inputs: Vec<Tensor>,
    /// Outputs wanted; all when absent.
    pub outputs: Option<Vec<Wanted>>,
    #[serde(default)]
    parameters: Map<String, Value>,
}

/// An input tensor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tensor {
    name: String,
    shape: Vec<u64>,
    datatype: String,
    data: Value,
    #[serde(default)]
    parameters: Map<String, Value>,
}

/// An output that is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    name: String,
    #[serde(default)]
    parameters: Map<String, Value>,
}

/// The protocol's name of an element type.
pub fn datatype(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "FP32",
        Dtype::I8 => "INT8",
        Dtype::U8 => "UINT8",
        Dtype::I16 => "INT16",
        Dtype::I32 => "INT32",
        Dtype::Bool => "BOOL",
        // Constants only, so never an input or an output.
        Dtype::F16 => "FP16",
        Dtype::I4 => "INT4",
        Dtype::U4 => "UINT4",
        Dtype::I64 => "INT64",
    }
}

impl Request {
    /// Parses a request body.
    ///
    /// # Errors
    /// What is wrong with it, for the client.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let request: Self = serde_json::from_slice(body).map_err(|error| format!("the request: {error}"))?;
        let wanted = request.outputs.iter().flatten().map(|output| &output.parameters);
        let given = request.inputs.iter().map(|input| &input.parameters);
        for parameters in wanted.chain(given).chain([&request.parameters]) {
            if let Some(name) = parameters.keys().next() {
                return Err(format!("parameter `{name}` is not supported"));
            }
        }
        Ok(request)
    }

    /// Little-endian elements for each of the model's inputs. Integer inputs take their own datatype as already
    /// quantized, and FP32 to be quantized with the input's scale and zero point, rounding half away from zero.
    ///
    /// # Errors
    /// What does not fit, for the client.
    pub fn elements(&self, ports: &[Port]) -> Result<Vec<Vec<u8>>, String> {
        if let Some(stranger) =
            self.inputs.iter().find(|input| ports.iter().all(|port| port.name != input.name))
        {
            return Err(format!("the model has no input `{}`", stranger.name));
        }
        ports
            .iter()
            .map(|port| {
                let mut given = self.inputs.iter().filter(|input| input.name == port.name);
                let tensor = given.next().ok_or_else(|| format!("input `{}` is missing", port.name))?;
                if given.next().is_some() {
                    return Err(format!("input `{}` is given twice", port.name));
                }
                tensor.elements(port).map_err(|cause| format!("input `{}`: {cause}", port.name))
            })
            .collect()
    }

    /// Indices of the outputs asked for.
    ///
    /// # Errors
    /// When one does not exist.
    pub fn wanted(&self, ports: &[Port]) -> Result<Vec<usize>, String> {
        let Some(wanted) = &self.outputs else { return Ok((0..ports.len()).collect()) };
        let find = |name: &str| ports.iter().position(|port| port.name == name);
        wanted
            .iter()
            .map(|output| {
                find(&output.name).ok_or_else(|| format!("the model has no output `{}`", output.name))
            })
            .collect()
    }
}

impl Tensor {
    fn elements(&self, port: &Port) -> Result<Vec<u8>, String> {
        let desc = &port.desc;
        let shape: Vec<u64> = desc.shape.dims().iter().map(|&dim| u64::from(dim)).collect();
        if self.shape != shape {
            return Err(format!("shape {:?} is not {shape:?}", self.shape));
        }
        let own = datatype(desc.dtype);
        let quantize = self.datatype == "FP32" && desc.dtype != Dtype::F32 && desc.scale > 0.0;
        if self.datatype != own && !quantize {
            return Err(format!("datatype {} is not {own}", self.datatype));
        }
        let mut bytes = Vec::with_capacity(desc.bytes());
        let mut count = 0;
        flatten(&self.data, &mut |value| {
            count += 1;
            if count > desc.shape.elements() {
                return Err("data has more elements than its shape".to_owned());
            }
            let wrong = || format!("element {} is not {}", count - 1, self.datatype);
            if self.datatype == "FP32" {
                let number = value.as_f64().ok_or_else(wrong)? as f32;
                if !number.is_finite() {
                    return Err(format!("element {} is beyond FP32", count - 1));
                }
                if !quantize {
                    bytes.extend(number.to_le_bytes());
                    return Ok(());
                }
                let (low, high) = range(desc.dtype);
                let stored = (number / desc.scale).round() as f64 + f64::from(desc.zero_point);
                put(&mut bytes, desc.dtype, stored.clamp(low as f64, high as f64) as i64);
                return Ok(());
            }
            let number = match (desc.dtype, value) {
                (Dtype::Bool, Value::Bool(flag)) => i64::from(*flag),
                _ => value.as_i64().ok_or_else(wrong)?,
            };
            let (low, high) = range(desc.dtype);
            if !(low..=high).contains(&number) {
                return Err(wrong());
            }
            put(&mut bytes, desc.dtype, number);
            Ok(())
        })?;
        if count < desc.shape.elements() {
            return Err(format!("data has {count} elements, its shape {}", desc.shape.elements()));
        }
        Ok(bytes)
    }
}

/// An output tensor. The flag says whether any element is NaN or infinite, which JSON cannot carry.
pub fn output(port: &Port, bytes: &[u8]) -> (Value, bool) {
    let dtype = port.desc.dtype;
    let mut finite = true;
    let data: Vec<Value> = bytes
        .chunks_exact(dtype.size())
        .map(|element| match (dtype, element) {
            (Dtype::F32, &[a, b, c, d]) => {
                let number = f32::from_le_bytes([a, b, c, d]);
                finite &= number.is_finite();
                json!(number)
            }
            (Dtype::I32, &[a, b, c, d]) => json!(i32::from_le_bytes([a, b, c, d])),
            (Dtype::I16, &[a, b]) => json!(i16::from_le_bytes([a, b])),
            (Dtype::I8, &[a]) => json!(a as i8),
            (Dtype::Bool, &[a]) => json!(a != 0),
            _ => json!(element[0]),
        })
        .collect();
    let tensor = json!({ "name": port.name, "datatype": datatype(dtype), "shape": port.desc.shape.dims(), "data": data });
    (tensor, !finite)
}

fn range(dtype: Dtype) -> (i64, i64) {
    match dtype {
        Dtype::I8 => (i8::MIN.into(), i8::MAX.into()),
        Dtype::U8 => (0, u8::MAX.into()),
        Dtype::I16 => (i16::MIN.into(), i16::MAX.into()),
        Dtype::I32 | Dtype::F32 => (i32::MIN.into(), i32::MAX.into()),
        Dtype::Bool => (0, 1),
        Dtype::I4 => (-8, 7),
        Dtype::U4 => (0, 15),
        Dtype::I64 | Dtype::F16 => (i64::MIN, i64::MAX),
    }
}

/// `number` is within [`range`].
fn put(bytes: &mut Vec<u8>, dtype: Dtype, number: i64) {
    let size = dtype.size();
    bytes.extend(&number.to_le_bytes()[..size]);
}

/// Data may be flat or nested; the elements come in the same order.
fn flatten(data: &Value, each: &mut impl FnMut(&Value) -> Result<(), String>) -> Result<(), String> {
    match data {
        Value::Array(items) => items.iter().try_for_each(|item| flatten(item, each)),
        value => each(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use samara_runtime::{Desc, Shape};

    fn port(dtype: Dtype, dims: &[u32], scale: f32, zero_point: i32) -> Port {
        let desc = Desc { scale, zero_point, ..Desc::new(dtype, Shape::new(dims).unwrap()) };
        Port { name: "x".to_owned(), desc }
    }

    fn elements(port: &Port, datatype: &str, shape: &[u32], data: Value) -> Result<Vec<u8>, String> {
        let body = json!({"inputs": [{"name": "x", "shape": shape, "datatype": datatype, "data": data}]});
        Request::parse(&serde_json::to_vec(&body).unwrap())?
            .elements(std::slice::from_ref(port))
            .map(|mut all| all.remove(0))
    }

    #[test]
    fn own_datatypes_are_taken_as_they_are() {
        let i8s = port(Dtype::I8, &[1, 3], 0.5, 0);
        assert_eq!(elements(&i8s, "INT8", &[1, 3], json!([[-128, 0, 127]])), Ok(vec![128, 0, 127]));
        let i16s = port(Dtype::I16, &[2], 0.0, 0);
        assert_eq!(elements(&i16s, "INT16", &[2], json!([-2, 258])), Ok(vec![254, 255, 2, 1]));
        let floats = port(Dtype::F32, &[1], 0.0, 0);
        assert_eq!(elements(&floats, "FP32", &[1], json!([1])), Ok(1f32.to_le_bytes().to_vec()));
        let flags = port(Dtype::Bool, &[2], 0.0, 0);
        assert_eq!(elements(&flags, "BOOL", &[2], json!([true, false])), Ok(vec![1, 0]));
    }

    #[test]
    fn floats_are_quantized_with_the_inputs_scale_and_saturate() {
        let port = port(Dtype::I8, &[4], 0.5, 3);
        let bytes = elements(&port, "FP32", &[4], json!([0.25, -0.25, 1000.0, -1000.0])).unwrap();
        assert_eq!(bytes.iter().map(|&byte| byte as i8).collect::<Vec<_>>(), [4, 2, 127, -128]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let port = port(Dtype::I8, &[1, 2], 0.0, 0);
        let wrong = |datatype: &str, shape: &[u32], data| elements(&port, datatype, shape, data).unwrap_err();
        assert!(wrong("INT8", &[2], json!([1, 2])).contains("shape [2] is not [1, 2]"));
        assert!(wrong("FP32", &[1, 2], json!([1, 2])).contains("datatype FP32 is not INT8"));
        assert!(wrong("INT8", &[1, 2], json!([1, 128])).contains("element 1"));
        assert!(wrong("INT8", &[1, 2], json!([1, "x"])).contains("element 1"));
        assert!(wrong("INT8", &[1, 2], json!([1])).contains("1 elements"));
        assert!(wrong("INT8", &[1, 2], json!([1, 2, 3])).contains("more elements"));
        let parse = |body: Value| Request::parse(&serde_json::to_vec(&body).unwrap()).unwrap_err();
        assert!(
            parse(json!({"inputs": [], "parameters": {"binary_data_output": true}}))
                .contains("binary_data_output")
        );
        assert!(parse(json!({"inputs": [], "outputz": []})).contains("outputz"));
        let request = |inputs: Value| {
            Request::parse(&serde_json::to_vec(&json!({ "inputs": inputs })).unwrap()).unwrap()
        };
        let port = [port.clone()];
        assert!(request(json!([])).elements(&port).unwrap_err().contains("missing"));
        let x = json!({"name": "x", "shape": [1, 2], "datatype": "INT8", "data": [1, 2]});
        assert!(request(json!([x, x])).elements(&port).unwrap_err().contains("twice"));
        let y = json!({"name": "y", "shape": [1, 2], "datatype": "INT8", "data": [1, 2]});
        assert!(request(json!([y])).elements(&port).unwrap_err().contains("no input `y`"));
    }

    #[test]
    fn outputs_carry_their_own_type_and_betray_nan() {
        let (tensor, wrong) = output(&port(Dtype::I8, &[1, 2], 0.5, 0), &[255, 1]);
        assert_eq!(tensor, json!({"name": "x", "datatype": "INT8", "shape": [1, 2], "data": [-1, 1]}));
        assert!(!wrong);
        assert!(output(&port(Dtype::F32, &[1], 0.0, 0), &f32::NAN.to_le_bytes()).1);
    }
}
